import { AppError } from '#kernel/errors.ts'
import type { MergeState } from '#kernel/frames.ts'
import type { JobId, UserId } from '#kernel/ids.ts'
import type { ApiDeps } from '../job-deps.ts'
import type { JobDiff, ReviewResult } from '../job-schemas.ts'
import { ownJob, readJob } from '../stores/job-read-store.ts'
import type { JobRow } from '../stores/job-store.ts'
import {
  claimReview,
  hasWork,
  type ClaimedReview,
  type ReviewVerb,
  type Work
} from '../stores/review-store.ts'
import { REVIEWS } from './review-states.ts'

type ReviewDeps = Pick<ApiDeps, 'db' | 'clock' | 'commands'>

const POLL_MS = 50
/** How long a review waits for another one of the same job; git's part of a review takes seconds at worst. */
const WAIT_MAX_MS = 30_000

/**
 * Carries out a person's review decision on a job's own commit: claims the job's row, has the project's worker run git
 * outside of any transaction, and answers with the merge state that it came to. Of two concurrent reviews the second one
 * waits for the first and then sees what it has done. `dryRun` changes nothing.
 *
 * Refuses with 409 `job_not_mergeable` when the job has no such work, and with 409 `merge_conflict` and the paths when
 * git cannot merge; then nothing has changed.
 */
export async function reviewJob(
  deps: ReviewDeps,
  verb: ReviewVerb,
  userId: UserId,
  id: string,
  dryRun: boolean
): Promise<ReviewResult> {
  const job = await ownJob(deps.db, userId, id)
  const { to } = REVIEWS[verb]
  if (dryRun) {
    await deps.commands.tryReview(workOf(job, verb), verb)
    return { jobId: job.id, merge: to, commit: null, dryRun }
  }
  const commit = await deps.commands.carryOutReview(await claim(deps, job.id, verb, userId))
  return { jobId: job.id, merge: to, commit, dryRun }
}

async function claim(
  { db, clock }: ReviewDeps,
  id: JobId,
  verb: ReviewVerb,
  by: UserId
): Promise<ClaimedReview> {
  const deadlineMs = clock.monotonicMs() + WAIT_MAX_MS
  for (;;) {
    const job = (await readJob(db, id))!
    const isBusy = job.merge === 'merging' && clock.monotonicMs() < deadlineMs
    if (!isBusy) workOf(job, verb)
    const claimed = await claimReview(db, id, { verb, by, from: REVIEWS[verb].from }, clock.now())
    if (claimed) return claimed
    await clock.sleep(POLL_MS)
  }
}

function workOf(job: JobRow, verb: ReviewVerb): Work {
  const { merge } = job
  const fits = (REVIEWS[verb].from as readonly MergeState[]).includes(merge)
  if (fits && hasWork(job)) return job
  const why = merge === 'none' ? 'the job left no work' : `its work is ${merge}`
  throw new AppError('job_not_mergeable', `This job has nothing to ${verb}: ${why}`)
}

const NO_DIFF: JobDiff = { base: null, head: null, files: [], truncated: false }

/** What the job itself changed. A job without a commit has an empty diff. */
export async function diffOfJob(deps: ReviewDeps, userId: UserId, id: string): Promise<JobDiff> {
  const { project_id, base, commit } = await ownJob(deps.db, userId, id)
  if (base === null || commit === null) return NO_DIFF
  const diff = await deps.commands.diff(project_id, base, commit)
  return { ...diff, files: diff.files.map((file) => ({ ...file })) }
}

/** The same as a patch that `git apply` accepts. */
export async function patchOfJob(deps: ReviewDeps, userId: UserId, id: string): Promise<string> {
  const { project_id, base, commit } = await ownJob(deps.db, userId, id)
  if (base === null || commit === null) return ''
  return deps.commands.rawDiff(project_id, base, commit)
}
