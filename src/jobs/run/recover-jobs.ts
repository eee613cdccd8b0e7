import { firstLine } from '#kernel/text.ts'
import type { Lease } from '#ports/lock.ts'
import { KILO } from '#workspaces'
import { finishJob, type JobResult } from '../finish/finish-job.ts'
import type { JobDeps } from '../job-deps.ts'
import { branchOf } from './job-run.ts'
import { readActiveJob } from '../stores/job-read-store.ts'
import { updateJobToken, type JobRow } from '../stores/job-store.ts'
import { inWorkspace, mergeMessage, SUBJECT_CHARS_MAX, trailersOf } from './keep-work.ts'

const INTERRUPTED = {
  code: 'interrupted',
  message: 'the server stopped in the middle of the job'
} as const

/**
 * Finishes what a worker that died has left of a project: its agent is stopped, what lies in the worktree is
 * saved on the job's branch, and the worktree is main's again. A job whose agent had finished ends as it would
 * have; any other ends `interrupted`, refunded whole. Doing it twice is doing it once.
 */
export async function recoverProject(deps: JobDeps, lease: Lease): Promise<void> {
  const job = await readActiveJob(deps.db, lease.projectId)
  if (!job) return

  deps.log.warn({ projectId: job.project_id, jobId: job.id, status: job.status }, 'job left behind')
  await updateJobToken(deps.db, job.id, lease.token)
  await deps.supervisor.stop(job.project_id)
  const kept = await keepWhatIsThere(deps, job).catch((err: unknown) => {
    deps.log.error({ err, jobId: job.id }, 'work could not be rescued')
    return { ...NOTHING_KEPT, branch: job.branch, base: job.base }
  })
  await finishJob(deps, job, lease.token, { ...kept, told: null })
}

type Rescued = Pick<JobResult, 'branch' | 'base' | 'commit' | 'merge' | 'failure'>

const NOTHING_KEPT = { commit: null, merge: 'none', failure: INTERRUPTED } as const

async function keepWhatIsThere({ workspaces }: JobDeps, job: JobRow): Promise<Rescued> {
  const workspace = workspaces.open(job.project_id)
  const branch = branchOf(job)
  const finished = job.status === 'settling'
  const subject = finished ? job.text : `Unfinished (interrupted): ${job.text}`
  const commit = await workspace.rescue(branch, {
    subject: firstLine(subject, SUBJECT_CHARS_MAX),
    trailers: trailersOf(job, 0),
    author: KILO
  })
  const base = commit === null ? job.base : await workspace.baseOf(commit)
  const rescued = { ...NOTHING_KEPT, branch: job.branch, base, commit }
  if (!finished) return rescued

  if (commit === null) return { ...rescued, failure: null }
  if (job.review === 'hold') return { ...rescued, merge: 'held', failure: null }
  // Merging what has been merged already is nothing: it does not matter where it was interrupted.
  const message = mergeMessage(job, branch)
  const merged = await inWorkspace(workspace.mergeJob(commit, { author: KILO, message }))
  return { ...rescued, merge: merged.kind === 'conflict' ? 'conflict' : 'merged', failure: null }
}
