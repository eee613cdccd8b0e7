import { priceMemo } from '#billing'
import { inTransaction } from '#db'
import type { Draft, Goodwill, JobCredits, MergeState } from '#kernel/frames.ts'
import { JOB_FAILURES, JobFailure, type JobFailureCode } from '#kernel/job-failures.ts'
import { toCredits } from '#kernel/money.ts'
import { storable } from '#kernel/text.ts'
import type { ApiDeps, JobSettings } from '../job-deps.ts'
import { settleBill, type ReportedUsage } from './settle-bill.ts'
import { updateJobEnd, type JobRow } from '../stores/job-store.ts'
import { closePrompts } from '../stores/prompt-store.ts'

export type FinishDeps = Pick<
  ApiDeps,
  'db' | 'events' | 'ledger' | 'prices' | 'requests' | 'log' | 'metrics' | 'clock' | 'settings'
>

/** The result of a job before it is settled. */
export interface JobResult {
  readonly branch: string | null
  /** The commit below the job's own: its diff is from here to its commit. */
  readonly base: string | null
  readonly commit: string | null
  readonly merge: MergeState
  /** The usage that the agent reported; the gateway's own count takes precedence. */
  readonly reported: ReportedUsage | null
  readonly failure: { readonly code: JobFailureCode; readonly message: string } | null
}

const statusOf = (failure: JobResult['failure']) =>
  failure === null ? 'succeeded' : failure.code === 'cancelled' ? 'cancelled' : 'failed'

function payerOf(
  failure: JobResult['failure'],
  { goodwillPerDay: creditsPerDay, goodwillJobsPerHour: jobsPerHour }: JobSettings
) {
  if (failure === null) return 'used'
  const { userPays } = JOB_FAILURES[failure.code]
  if (userPays !== 'goodwill') return userPays
  return { goodwill: { creditsPerDay, jobsPerHour } }
}

const NOT_REFUNDED = {
  day_limit: 'the usage is charged, because the goodwill refunds of 24 hours are used up',
  hour_limit: 'the usage is charged, because the goodwill refunds of an hour are used up'
} as const

/** What the user reads: the message of the failure, and why it was not refunded although such failures are. */
function explain(failure: NonNullable<JobResult['failure']>, goodwill: Goodwill | null) {
  // The message of a provider or an agent may hold characters that the database cannot store.
  const message = storable(failure.message)
  if (goodwill === null || goodwill === 'refunded') return { ...failure, message }
  return { ...failure, message: `${message} (${NOT_REFUNDED[goodwill]})` }
}

function lastFrame(
  { branch, commit, merge }: JobResult,
  failure: JobResult['failure'],
  credits: JobCredits
): Draft {
  if (failure === null) {
    return { type: 'job:success', data: { commit, branch: branch ?? '', merge, credits } }
  }
  const { retryable } = JOB_FAILURES[failure.code]
  return { type: 'job:error', data: { ...failure, retryable, credits, branch } }
}

/**
 * Ends a job in one transaction: the hold is resolved, the row becomes terminal, and the last two frames are
 * written, all or none. Throws `lease_lost` when another worker has ended or claimed it.
 * `token` is null for a job that was never claimed.
 */
export async function finishJob(
  deps: FinishDeps,
  job: JobRow,
  token: bigint | null,
  result: JobResult
): Promise<void> {
  const status = statusOf(result.failure)
  const { mismatch, goodwill, appended } = await inTransaction(deps.db, async (tx) => {
    const bill = await settleBill(deps.requests, tx, job.id, result.reported)
    const paid = await deps.ledger.resolve(tx, {
      holdId: job.id,
      cost: bill.cost,
      userPays: payerOf(result.failure, deps.settings),
      reason: result.failure?.code ?? 'succeeded',
      memo: { jobId: job.id, model: job.model, ...bill.usage, ...priceMemo(deps.prices, job.model) }
    })
    const { charged, released: refunded, goodwill } = paid
    const failure = result.failure && explain(result.failure, goodwill)
    const ended = await updateJobEnd(tx, job.id, token, {
      ...result,
      status,
      charged,
      refunded,
      goodwill,
      usage: bill.usage,
      mismatch: bill.mismatch,
      error: failure,
      at: deps.clock.now()
    })
    if (!ended) throw new JobFailure('lease_lost', 'another worker has ended the job')
    await closePrompts(tx, job.id, deps.clock.now())

    const credits = {
      reserved: toCredits(paid.held),
      charged: toCredits(charged),
      refunded: toCredits(refunded),
      ...(goodwill === null ? {} : { goodwill })
    }
    const scope = { projectId: job.project_id, jobId: job.id, ...(token === null ? {} : { token }) }
    const appended = await deps.events.append(tx, scope, [
      {
        type: 'job:credits-used',
        data: { credits: credits.charged, usage: bill.usage, final: true }
      },
      lastFrame(result, failure, credits)
    ])
    return { ...bill, goodwill, appended }
  })

  deps.events.announce(job.project_id, appended)
  if (mismatch.length > 0) {
    deps.metrics.usageMismatch()
    deps.log.warn({ jobId: job.id, mismatch }, 'agent and gateway disagree on a step')
  }
  if (goodwill !== null) deps.metrics.goodwill(goodwill)
  // The clock may have been set back meanwhile.
  const seconds = Math.max(0, deps.clock.now().getTime() - job.created_at.getTime()) / 1000
  deps.metrics.jobEnded({ status, code: result.failure?.code ?? 'none', seconds })
  deps.log.info({ jobId: job.id, status, code: result.failure?.code, seconds }, 'job ended')
}
