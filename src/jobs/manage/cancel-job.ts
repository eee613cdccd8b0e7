import type { UserId } from '#kernel/ids.ts'
import { JobFailure } from '#kernel/job-failures.ts'
import { inboxOf } from '#ports/bus.ts'
import { finishJob } from '../finish/finish-job.ts'
import type { JobDeps } from '../job-deps.ts'
import { readJob } from '../stores/job-read-store.ts'
import { updateCancelRequested, type JobRow } from '../stores/job-store.ts'
import { ownJob } from '../stores/job-read-store.ts'

/** The wish becomes a row before it becomes a ring. A queued job ends here; a running one hears of it. */
export async function cancelJob(deps: JobDeps, userId: UserId, id: string): Promise<JobRow> {
  const job = await ownJob(deps.db, userId, id)
  await cancel(deps, job)
  return (await readJob(deps.db, job.id)) ?? job
}

/** Cancels whatever state the job is in; one that has ended stays as it is. */
export async function cancel(deps: JobDeps, job: JobRow): Promise<void> {
  await updateCancelRequested(deps.db, job.id, deps.clock.now())
  if (job.status === 'queued' && (await endQueued(deps, job))) return
  deps.bus.ring(inboxOf(job.id))
}

/** False when a worker has claimed the job in this moment: its desk has the wish then. */
async function endQueued(deps: JobDeps, job: JobRow): Promise<boolean> {
  try {
    await finishJob(deps, job, null, {
      branch: null,
      base: null,
      commit: null,
      merge: 'none',
      told: null,
      failure: { code: 'cancelled', message: 'the job was cancelled before it began' }
    })
    return true
  } catch (error) {
    if (error instanceof JobFailure && error.code === 'lease_lost') return false
    throw error
  }
}
