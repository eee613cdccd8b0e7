import type { UserId } from '#kernel/ids.ts'
import { JobFailure } from '#kernel/job-failures.ts'
import { inboxOf } from '#ports/bus.ts'
import { finishJob, type FinishDeps } from '../finish/finish-job.ts'
import type { ApiDeps } from '../job-deps.ts'
import { ownJob, readJob } from '../stores/job-read-store.ts'
import { updateCancelRequested, type JobRow } from '../stores/job-store.ts'

type CancelDeps = FinishDeps & Pick<ApiDeps, 'bus'>

/** Records the request to cancel as a row before it rings. A queued job ends here; a running one reads its inbox. */
export async function cancelJob(deps: CancelDeps, userId: UserId, id: string): Promise<JobRow> {
  const job = await ownJob(deps.db, userId, id)
  await cancel(deps, job)
  return (await readJob(deps.db, job.id)) ?? job
}

/** Cancels a job in whatever state it is; one that has ended stays as it is. */
export async function cancel(deps: CancelDeps, job: JobRow): Promise<void> {
  await updateCancelRequested(deps.db, job.id, deps.clock.now())
  if (job.status === 'queued' && (await endQueued(deps, job))) return
  deps.bus.ring(inboxOf(job.id))
}

/** False when a worker has claimed the job meanwhile: its inbox has the request then. */
async function endQueued(deps: FinishDeps, job: JobRow): Promise<boolean> {
  try {
    await finishJob(deps, job, null, {
      branch: null,
      base: null,
      commit: null,
      merge: 'none',
      reported: null,
      failure: { code: 'cancelled', message: 'the job was cancelled before it started' }
    })
    return true
  } catch (error) {
    if (error instanceof JobFailure && error.code === 'lease_lost') return false
    throw error
  }
}
