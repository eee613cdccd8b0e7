import { JobFailure } from '#kernel/job-failures.ts'
import type { MergeState } from '#kernel/frames.ts'
import { least, toCredits } from '#kernel/money.ts'
import { firstLine } from '#kernel/text.ts'
import { AgentFailure } from '#supervisor'
import { KILO } from '#workspaces'
import { jobFailureOf } from './agent-failures.ts'
import type { FileWatch } from './file-watch.ts'
import type { JobResult } from '../finish/finish-job.ts'
import type { JobRun } from './job-run.ts'
import type { JobRow } from '../stores/job-store.ts'

export const SUBJECT_CHARS_MAX = 72

export type Kept = Pick<JobResult, 'branch' | 'base' | 'commit' | 'merge'>

/** One commit of what the agent left, then into main, or held for review; the worktree is main's again. */
export async function keepWork(run: JobRun, files: FileWatch): Promise<Kept> {
  const commit = await inWorkspace(commitWork(run, files, run.job.text))
  run.signal.throwIfAborted()
  const [merge] = commit === null ? ['none' as const] : await bringHomeAndTell(run, commit)
  await goHome(run)
  return { branch: run.branch, base: run.base ?? null, commit, merge }
}

/**
 * Keeps what there is of work that failed: it goes onto the job's branch and no further. Throws only
 * `lease_lost`: then the worktree is somebody else's, and the agent must not touch it any more.
 */
export async function salvageWork(run: JobRun, files: FileWatch, error: unknown) {
  const failure = failureOf(run, error)
  run.deps.log.warn({ jobId: run.job.id, code: failure.code, err: error }, 'job failed')
  if (failure.code === 'lease_lost') {
    await run.deps.supervisor.stop(run.job.project_id)
    throw failure
  }

  const commit = run.commit ?? (await commitUnfinished(run, files, failure))
  if (commit !== null) await tellDiff(run, commit)
  await goHome(run)
  const { code, message } = failure
  const branch = run.base === undefined ? null : run.branch
  return {
    ...{ branch, commit, base: run.base ?? null, merge: 'none' as const },
    failure: { code, message }
  }
}

/** What goes wrong with git or the disk is nobody's fault but ours, and has a name. */
export async function inWorkspace<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (cause) {
    if (cause instanceof JobFailure) throw cause
    const message = cause instanceof Error ? cause.message : String(cause)
    throw new JobFailure('workspace_error', firstLine(message, 500), { cause })
  }
}

async function commitUnfinished(run: JobRun, files: FileWatch, failure: JobFailure) {
  if (run.base === undefined) return null
  return commitWork(run, files, `Unfinished (${failure.code}): ${run.job.text}`).catch(
    (err: unknown) => {
      run.deps.log.error({ err, jobId: run.job.id }, 'work could not be kept')
      return null
    }
  )
}

/** Whoever asked the job to stop knows best why it ended. */
function failureOf({ signal }: JobRun, error: unknown): JobFailure {
  if (signal.reason instanceof JobFailure) return signal.reason
  if (error instanceof JobFailure) return error
  if (error instanceof AgentFailure) return jobFailureOf(error)
  return new JobFailure('interrupted', 'something broke on our side', { cause: error })
}

/** Who did it, and in what, for whoever reads the history. */
export const trailersOf = (job: JobRow, credits: number) => ({
  'Job-Id': job.id,
  'Session-Id': job.session_id,
  Model: job.model,
  Credits: String(credits)
})

async function commitWork(run: JobRun, files: FileWatch, text: string): Promise<string | null> {
  const { job, base, workspace } = run
  if (base === undefined || (await files.look()).length === 0) return null

  const commit = await workspace.commitJob({
    subject: firstLine(text, SUBJECT_CHARS_MAX),
    trailers: trailersOf(job, toCredits(least(run.purse.total().cost, run.reserved))),
    author: KILO
  })
  run.commit = commit
  // People may have saved meanwhile: their commits lie below the job's own, and are not its work.
  if (commit !== null) run.base = await workspace.baseOf(commit)
  return commit
}

const bringHomeAndTell = (run: JobRun, commit: string) =>
  Promise.all([inWorkspace(bringHome(run, commit)), tellDiff(run, commit)])

async function bringHome({ job, workspace, branch }: JobRun, commit: string): Promise<MergeState> {
  if (job.review === 'hold') return 'held'
  const merged = await workspace.mergeJob(commit, {
    author: KILO,
    message: mergeMessage(job, branch)
  })
  return merged.kind === 'conflict' ? 'conflict' : 'merged'
}

export const mergeMessage = ({ id }: Pick<JobRow, 'id'>, branch: string) =>
  `Merge ${branch}\n\nJob-Id: ${id}`

/** The work is safe in a commit by now: a diff that cannot be told does not make it a failure. */
async function tellDiff({ workspace, writer, base, deps, job }: JobRun, head: string) {
  if (base === undefined) return
  try {
    const { files, truncated } = await workspace.diff(base, head)
    const summary = files.map(({ path, status, additions, deletions }) => ({
      ...{ path, status, additions, deletions }
    }))
    const patch = files.map((file) => file.patch).join('')
    const whole = truncated ? { truncated: true as const } : { patch }
    writer.write({ type: 'job:diff', data: { base, head, files: summary, ...whole } })
  } catch (err) {
    deps.log.error({ err, jobId: job.id }, 'diff could not be told')
  }
}

/** A worktree that could not be returned is put right when the next job starts. */
async function goHome({ workspace, deps, job }: JobRun): Promise<void> {
  await workspace.returnToMain().catch((err: unknown) => {
    deps.log.error({ err, jobId: job.id }, 'worktree could not be returned to main')
  })
}
