import { randomUUID } from 'node:crypto'
import type { Db } from '#db'
import type { MergeState } from '#kernel/frames.ts'
import type { JobId, ProjectId, UserId } from '#kernel/ids.ts'
import type { JobRow } from './job-store.ts'

export type ReviewVerb = 'merge' | 'discard' | 'revert'

/** A job whose review is claimed, with the claim's members set. */
export type ClaimedReview = JobRow & {
  readonly review_claim: string
  readonly review_verb: ReviewVerb
  readonly review_by: UserId
  readonly review_of: MergeState
}

/** A job with work that can be reviewed. */
export type Work = JobRow & { commit: string; branch: string; base: string }

export const hasWork = (job: JobRow): job is Work =>
  job.commit !== null && job.branch !== null && job.base !== null

/**
 * Claims a job for one review: its merge state becomes `merging`. Undefined when its state is not one of `from`; of
 * two that claim at the same time one gets it.
 */
export async function claimReview(
  db: Db,
  id: JobId,
  review: { readonly verb: ReviewVerb; readonly by: UserId; readonly from: readonly MergeState[] },
  now: Date
): Promise<ClaimedReview | undefined> {
  const claimed = await db
    .updateTable('jobs')
    .set((of) => ({
      merge: 'merging' as const,
      review_of: of.ref('merge'),
      review_claim: randomUUID(),
      review_verb: review.verb,
      review_by: review.by,
      review_claimed_at: now
    }))
    .where('id', '=', id)
    .where('merge', 'in', review.from)
    .returningAll()
    .executeTakeFirst()
  return claimed as ClaimedReview | undefined
}

/** Ends a review with the merge state that it came to. False when the claim is not there any more. */
export async function endReview(
  db: Db,
  { id, review_claim }: Pick<ClaimedReview, 'id' | 'review_claim'>,
  merge: MergeState
): Promise<boolean> {
  const done = await db
    .updateTable('jobs')
    .set({
      merge,
      review_of: null,
      review_claim: null,
      review_verb: null,
      review_by: null,
      review_claimed_at: null
    })
    .where('id', '=', id)
    .where('review_claim', '=', review_claim)
    .executeTakeFirst()
  return done.numUpdatedRows === 1n
}

/** Reviews under way in these projects. */
export async function readClaimedReviews(
  db: Db,
  projects: readonly ProjectId[]
): Promise<ClaimedReview[]> {
  if (projects.length === 0) return []
  const rows = await db
    .selectFrom('jobs')
    .selectAll()
    .where('merge', '=', 'merging')
    .where('project_id', 'in', projects)
    .execute()
  return rows as ClaimedReview[]
}
