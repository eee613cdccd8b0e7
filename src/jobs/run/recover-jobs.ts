import { isDiskFull } from '#kernel/machine/disk-space.ts'
import { firstLine } from '#kernel/text.ts'
import type { Lease } from '#ports/lock.ts'
import { KILO } from '#workspaces'
import { finishJob, type JobResult } from '../finish/finish-job.ts'
import type { WorkerDeps } from '../job-deps.ts'
import { branchOf } from './run-context.ts'
import { readActiveJob, readBasedOn } from '../stores/job-read-store.ts'
import { updateJobToken, type JobRow } from '../stores/job-store.ts'
import { mergeMessage, SUBJECT_CHARS_MAX, trailersOf } from '../finish/commit-messages.ts'
import { inWorkspace } from './keep-work.ts'

const INTERRUPTED = {
  code: 'interrupted',
  message: 'the server stopped while the job was running'
} as const

/**
 * Finishes the job that a dead worker left active in a project: stops its agent, commits what is in the worktree on the
 * job's branch, and returns the worktree to main. A job whose agent had finished ends as it would have; any other ends
 * `interrupted`, refunded in full. Idempotent.
 */
export async function recoverProject(deps: WorkerDeps, lease: Lease): Promise<void> {
  const job = await readActiveJob(deps.db, lease.projectId)
  if (!job) return

  deps.log.warn(
    { projectId: job.project_id, jobId: job.id, status: job.status },
    'interrupted job found'
  )
  await updateJobToken(deps.db, job.id, lease.token)
  await deps.supervisor.stop(job.project_id)
  const kept = await rescueWork(deps, job).catch((err: unknown) => {
    // The next sweep tries again: its work is in the worktree only.
    if (isDiskFull(err)) throw err
    deps.log.error({ err, jobId: job.id }, 'failed to rescue an interrupted job')
    return { ...NOTHING_KEPT, branch: job.branch, base: job.base }
  })
  await finishJob(deps, job, lease.token, { ...kept, reported: null })
}

type Rescued = Pick<JobResult, 'branch' | 'base' | 'commit' | 'merge' | 'failure'>

const NOTHING_KEPT = { commit: null, merge: 'none', failure: INTERRUPTED } as const

async function rescueWork({ db, workspaces }: WorkerDeps, job: JobRow): Promise<Rescued> {
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
  const waits = job.review === 'hold' || (await readBasedOn(db, job.id)) !== null
  if (waits) return { ...rescued, merge: 'held', failure: null }
  // Merging is idempotent: work that was merged before the crash is not merged again.
  const message = mergeMessage(branch, job)
  const merged = await inWorkspace(workspace.mergeJob(commit, { author: KILO, message }))
  return { ...rescued, merge: merged.kind === 'conflict' ? 'conflict' : 'merged', failure: null }
}
