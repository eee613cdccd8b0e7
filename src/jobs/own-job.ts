import type { Db } from '#db'
import { AppError } from '#kernel/errors.ts'
import { jobId, type UserId } from '#kernel/ids.ts'
import { readJob } from './job-read-store.ts'
import type { JobRow } from './job-store.ts'

/** The job of that id if it is this user's own; anything else is refused as `not_found`. */
export async function ownJob(db: Db, userId: UserId, id: string): Promise<JobRow> {
  const known = jobId.parse(id)
  const job = known && (await readJob(db, known))
  if (job?.user_id !== userId) throw new AppError('not_found', `There is no job ${id}`)
  return job
}
