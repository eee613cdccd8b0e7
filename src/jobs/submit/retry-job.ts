import { AppError } from '#kernel/errors.ts'
import type { ReservedUlid, UserId } from '#kernel/ids.ts'
import { microcredits, toCredits } from '#kernel/money.ts'
import type { ApiDeps } from '../job-deps.ts'
import type { Submitted } from '../job-schemas.ts'
import type { JobRow } from '../stores/job-store.ts'
import { ownJob } from '../stores/job-read-store.ts'
import { findExisting, submitJob } from './submit-job.ts'

const mayRetry = ({ status, merge }: JobRow) =>
  status === 'failed' || status === 'cancelled' || merge === 'conflict'

/** Submits the same prompt again, as a new job of the same conversation. Refuses with `job_not_retryable`. */
export async function retryJob(
  deps: ApiDeps,
  userId: UserId,
  id: string,
  reservedId: ReservedUlid
): Promise<Submitted> {
  const job = await ownJob(deps.db, userId, id)
  const existing = await findExisting(deps, reservedId)
  if (existing) return existing
  if (!mayRetry(job)) {
    throw new AppError(
      'job_not_retryable',
      `A job that is ${job.status} cannot be retried: only failed, cancelled and conflicted ones can`
    )
  }
  const command = {
    text: job.text,
    mode: job.mode,
    model: job.model,
    sessionId: job.session_id,
    review: job.review,
    ...(job.current_file_path === null ? {} : { currentFilePath: job.current_file_path }),
    ...(job.max_credits === null
      ? {}
      : { maxCredits: toCredits(microcredits(BigInt(job.max_credits))) })
  }
  return submitJob(deps, userId, job.project_id, command, reservedId)
}
