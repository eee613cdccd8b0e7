import { AppError } from '#kernel/errors.ts'
import type { MergeState } from '#kernel/frames.ts'
import { JobFailure } from '#kernel/job-failures.ts'
import { least, toCredits } from '#kernel/money.ts'
import type { FileWatch } from './file-watch.ts'
import type { JobResult } from './finish-job.ts'
import type { JobRun } from './job-run.ts'

/** Whose commits the agent's are; a person's own saves carry that person's name. */
export const AGENT = { name: 'Kilo', email: 'kilo@kilowatt.invalid' }

const SUBJECT_CHARS_MAX = 72

export type Kept = Pick<JobResult, 'branch' | 'base' | 'commit' | 'merge'>

/** One commit of what the agent left, then into main, or held for review; the worktree is main's again. */
export async function keepWork(run: JobRun, files: FileWatch): Promise<Kept> {
  const commit = await commitWork(run, files, run.job.text)
  const merge = commit === null ? 'none' : await bringHomeAndTell(run, commit)
  await run.workspace.returnToMain()
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

  const branch = run.base === undefined ? null : run.branch
  const commit = await rescue(run, files, failure).catch((err: unknown) => {
    run.deps.log.error({ err, jobId: run.job.id }, 'work could not be kept')
    return null
  })
  const { code, message } = failure
  return {
    ...{ branch, commit, base: run.base ?? null, merge: 'none' as const },
    failure: { code, message }
  }
}

async function rescue(run: JobRun, files: FileWatch, failure: JobFailure) {
  const subject = `Unfinished (${failure.code}): ${run.job.text}`
  const commit = run.base === undefined ? null : await commitWork(run, files, subject)
  await run.workspace.returnToMain()
  if (commit !== null) await tellDiff(run, commit)
  return commit
}

/** Whoever asked the job to stop knows best why it ended. */
function failureOf({ signal }: JobRun, error: unknown): JobFailure {
  if (signal.reason instanceof JobFailure) return signal.reason
  if (error instanceof JobFailure) return error
  if (error instanceof AppError) return new JobFailure('workspace_error', error.message)
  return new JobFailure('interrupted', 'something broke on our side', { cause: error })
}

async function commitWork(run: JobRun, files: FileWatch, text: string): Promise<string | null> {
  const { job, base, workspace } = run
  if (base === undefined || (await files.look()).length === 0) return null

  const credits = toCredits(least(run.purse.total().cost, run.reserved))
  const commit = await workspace.commitJob({
    subject: text.trim().split('\n', 1)[0]!.slice(0, SUBJECT_CHARS_MAX),
    trailers: {
      'Job-Id': job.id,
      'Session-Id': job.session_id,
      Model: job.model,
      Credits: String(credits)
    },
    author: AGENT
  })
  // People may have saved meanwhile: their commits lie below the job's own, and are not its work.
  if (commit !== null) run.base = await workspace.baseOf(commit)
  return commit
}

async function bringHomeAndTell(run: JobRun, commit: string): Promise<MergeState> {
  const [merge] = await Promise.all([bringHome(run), tellDiff(run, commit)])
  return merge
}

async function tellDiff({ workspace, writer, base }: JobRun, head: string): Promise<void> {
  if (base === undefined) return
  const { files, truncated } = await workspace.diff(base, head)
  const summary = files.map(({ path, status, additions, deletions }) => ({
    path,
    status,
    additions,
    deletions
  }))
  const patch = files.map((file) => file.patch).join('')
  const whole = truncated ? { truncated: true as const } : { patch }
  writer.write({ type: 'job:diff', data: { base, head, files: summary, ...whole } })
}

async function bringHome({ job, branch, workspace }: JobRun): Promise<MergeState> {
  if (job.review === 'hold') return 'held'
  const merged = await workspace.mergeJob(branch, {
    author: AGENT,
    message: `Merge ${branch}\n\nJob-Id: ${job.id}`
  })
  switch (merged.kind) {
    case 'merged':
      return 'merged'
    case 'conflict':
      return 'conflict'
    case 'nothing':
      return 'none'
  }
}
