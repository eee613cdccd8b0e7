import { inTransaction } from '#db'
import { AppError } from '#kernel/errors.ts'
import type { UserId } from '#kernel/ids.ts'
import type { ApiDeps } from '../job-deps.ts'
import type { ReviewOptions, ReviewResult } from '../job-schemas.ts'
import { ownJob } from '../stores/job-read-store.ts'
import type { JobRow } from '../stores/job-store.ts'
import {
  claimReview,
  lockSession,
  readStack,
  type ClaimedReview,
  type ReviewVerb
} from '../stores/review-store.ts'
import { decideReview, REVIEWS, type ReviewDecision, type ReviewStep } from './review-policy.ts'

type ReviewDeps = Pick<ApiDeps, 'db' | 'clock' | 'commands'>

const POLL_MS = 50
/** How long a review waits for another one of the same work; git's part of a review takes seconds at worst. */
const WAIT_MAX_MS = 30_000

/**
 * Carries out a person's review decision on a job's own work, and on what it stands on or what stands on it: claims the
 * rows of all these jobs, has the project's worker run git outside of any transaction, and answers with the merge states
 * that it came to. Of two concurrent reviews the second one waits for the first and then sees what it has done. `dryRun`
 * changes nothing.
 *
 * Refuses with 409: `job_not_mergeable` when the job has no such work, `stands_on_held_work` with the jobs that would
 * come along, `agent_busy` when a running job stands on what is to be discarded, and `merge_conflict` with the paths when
 * git cannot merge. Then nothing has changed.
 */
export async function reviewJob(
  deps: ReviewDeps,
  verb: ReviewVerb,
  userId: UserId,
  id: string,
  { dryRun = false, include, resolutions }: ReviewOptions
): Promise<ReviewResult> {
  const job = await ownJob(deps.db, userId, id)
  if (verb === 'discard' && resolutions) {
    const detail = 'A discard takes no resolutions: they are for a merge or a revert'
    throw new AppError('invalid_request', detail, { field: 'resolutions' })
  }
  const asked = { verb, includeAll: include === 'all' }
  const { commit, jobs } = dryRun
    ? await deps.commands.tryReview(job.project_id, {
        verb,
        steps: await plan(deps, job, asked),
        resolutions
      })
    : await deps.commands.carryOutReview(await claim(deps, job, asked, userId), resolutions)
  return {
    jobId: job.id,
    merge: REVIEWS[verb].to,
    commit: dryRun ? null : commit,
    dryRun,
    jobs: jobs.map(({ id, merge }) => ({ jobId: id, merge }))
  }
}

interface Asked {
  readonly verb: ReviewVerb
  readonly includeAll: boolean
}

async function claim(
  { db, clock }: ReviewDeps,
  job: JobRow,
  asked: Asked,
  by: UserId
): Promise<ClaimedReview> {
  const deadlineMs = clock.monotonicMs() + WAIT_MAX_MS
  for (;;) {
    const isLate = clock.monotonicMs() >= deadlineMs
    const claimed = await inTransaction(db, async (tx) => {
      await lockSession(tx, job.session_id)
      const decision = await decide(tx, job, asked)
      if (decision.kind === 'busy' && !isLate) return undefined
      return claimReview(tx, { verb: asked.verb, by }, stepsOf(decision, asked), clock.now())
    })
    if (claimed) return claimed
    await clock.sleep(POLL_MS)
  }
}

const plan = async ({ db }: ReviewDeps, job: JobRow, asked: Asked) =>
  stepsOf(await decide(db, job, asked), asked)

async function decide(db: ReviewDeps['db'], job: JobRow, asked: Asked): Promise<ReviewDecision> {
  const stack = await readStack(db, job)
  const current = stack.find(({ id }) => id === job.id) ?? job
  const others = stack.filter(({ id }) => id !== job.id)
  return decideReview(asked.verb, current, others, asked.includeAll)
}

/** The planned steps, or the refusal that says why there are none. */
function stepsOf(decision: ReviewDecision, { verb }: Asked): readonly ReviewStep[] {
  switch (decision.kind) {
    case 'plan':
      return decision.steps
    case 'no-work':
      throw new AppError('job_not_mergeable', `This job has nothing to ${verb}: ${decision.why}`)
    case 'busy':
      throw new AppError('job_not_mergeable', 'Another review of this work is under way')
    case 'stands-on':
      throw new AppError(
        'stands_on_held_work',
        'This work stands on other work that waits for review: merging it takes that along. Include it, or review it first',
        { jobs: decision.below }
      )
    case 'in-use':
      throw new AppError(
        'agent_busy',
        'A running job works on top of this work: wait for its end, or cancel it',
        { jobId: decision.by }
      )
  }
}
