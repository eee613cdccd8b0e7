import { JobFailure } from '#kernel/job-failures.ts'
import type { MergeState } from '#kernel/frames.ts'
import { least, toCredits } from '#kernel/money.ts'
import { isDiskFull } from '#kernel/machine/disk-space.ts'
import { firstLine } from '#kernel/text.ts'
import { KILO } from '#workspaces'
import { mergeMessage, SUBJECT_CHARS_MAX, trailersOf } from '../finish/commit-messages.ts'
import { diskFull } from './disk-room.ts'
import { readBasedOn } from '../stores/job-read-store.ts'
import type { FileWatch } from './file-watch.ts'
import type { JobResult } from '../finish/finish-job.ts'
import type { JobRun } from './run-context.ts'

export type Kept = Pick<JobResult, 'branch' | 'base' | 'commit' | 'merge'>

/** Commits what the agent left as one commit, merges it or holds it for review, and returns the worktree to main. */
export async function keepWork(run: JobRun, files: FileWatch): Promise<Kept> {
  const commit = await inWorkspace(commitWork(run, files, run.job.text))
  run.signal.throwIfAborted()
  const [merge] = commit === null ? ['none' as const] : await mergeAndReport(run, commit)
  await returnToMain(run)
  return { branch: run.branch, base: run.base ?? null, commit, merge }
}

/**
 * Keeps the work of a job that failed: it is committed on the job's branch and not merged. Throws only `lease_lost`:
 * then the worktree belongs to another worker, and the agent is stopped before it touches it again.
 */
export async function salvageWork(
  run: JobRun,
  files: FileWatch,
  failure: JobFailure
): Promise<Kept & Pick<JobResult, 'failure'>> {
  const { code, message } = failure
  run.deps.log.warn({ jobId: run.job.id, code, err: failure }, 'job failed')
  if (code === 'lease_lost') {
    await run.deps.supervisor.stop(run.job.project_id)
    throw failure
  }

  const commit = run.commit ?? (await commitUnfinished(run, files, failure))
  if (commit !== null) await reportDiff(run, commit)
  await returnToMain(run)
  const branch = run.base === undefined ? null : run.branch
  return { branch, commit, base: run.base ?? null, merge: 'none', failure: { code, message } }
}

/** An error of git or the file system fails the job as `workspace_error`, which the user does not pay for. */
export async function inWorkspace<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (cause) {
    if (cause instanceof JobFailure) throw cause
    if (isDiskFull(cause)) throw diskFull(cause)
    // The sentence for clients of the API is less than git's own words.
    const reason = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause
    const message = reason instanceof Error ? reason.message : String(reason)
    throw new JobFailure('workspace_error', firstLine(message, 500), { cause })
  }
}

async function commitUnfinished(run: JobRun, files: FileWatch, failure: JobFailure) {
  if (run.base === undefined) return null
  return commitWork(run, files, `Unfinished (${failure.code}): ${run.job.text}`).catch(
    (err: unknown) => {
      if (isDiskFull(err)) throw err
      run.deps.log.error({ err, jobId: run.job.id }, 'failed to commit unfinished work')
      return null
    }
  )
}

async function commitWork(run: JobRun, files: FileWatch, text: string): Promise<string | null> {
  const { job, base, workspace } = run
  if (base === undefined || (await files.read()).length === 0) return null

  const commit = await workspace.commitJob({
    subject: firstLine(text, SUBJECT_CHARS_MAX),
    trailers: trailersOf(job, toCredits(least(run.purse.total().cost, run.reserved))),
    author: KILO
  })
  run.commit = commit
  reportLeftOut(run)
  // Saves by people during the job are commits below the job's own, and are not its work.
  if (commit !== null) run.base = await workspace.baseOf(commit)
  return commit
}

/** Reports to the user which files are not part of the commit. */
function reportLeftOut({ workspace, writer }: JobRun): void {
  const paths = workspace.leftOut()
  if (paths.length === 0) return
  const some = paths.slice(0, LEFT_OUT_SHOWN_MAX).map((path) => `- ${path}`)
  const others = paths.length - some.length
  const lines = [
    'These files are not committed, because they cannot be read or stored:',
    ...some,
    ...(others > 0 ? [`and ${others} more`] : [])
  ]
  const text = `${lines.join('\n')}\n`
  writer.write({ type: 'job:log', data: { source: 'system', partId: 'left-out', text } })
}

const LEFT_OUT_SHOWN_MAX = 20

const mergeAndReport = (run: JobRun, commit: string) =>
  Promise.all([inWorkspace(merge(run, commit)), reportDiff(run, commit)])

async function merge(run: JobRun, commit: string): Promise<MergeState> {
  const { job, workspace, branch, deps } = run
  if (job.review === 'hold') return 'held'
  // Merging it would take along the held work that it stands on, unless that has been merged meanwhile.
  if (run.basedOn && (await readBasedOn(deps.db, job.id)) !== null) return 'held'
  const message = mergeMessage(branch, job)
  const merged = await workspace.mergeJob(commit, { author: KILO, message })
  return merged.kind === 'conflict' ? 'conflict' : 'merged'
}

/** Writes `job:diff`. The work is in a commit by now, so that a failure here does not fail the job. */
async function reportDiff({ workspace, writer, base, deps, job }: JobRun, head: string) {
  if (base === undefined) return
  try {
    const { files, truncated } = await workspace.diff(base, head)
    const summary = files.map(({ path, status, additions, deletions }) => ({
      path,
      status,
      additions,
      deletions
    }))
    const patch = files.map((file) => file.patch).join('')
    const isText = files.every(({ encoding }) => encoding === 'utf-8')
    const whole = truncated || !isText ? { truncated: true as const } : { patch }
    writer.write({ type: 'job:diff', data: { base, head, files: summary, ...whole } })
  } catch (err) {
    deps.log.error({ err, jobId: job.id }, 'failed to write job:diff')
  }
}

/** A worktree that could not be returned to main is repaired when the next job starts. */
async function returnToMain({ workspace, deps, job }: JobRun): Promise<void> {
  await workspace.returnToMain().catch((err: unknown) => {
    deps.log.error({ err, jobId: job.id }, 'failed to return the worktree to main')
  })
}
