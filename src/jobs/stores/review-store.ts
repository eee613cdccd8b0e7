import { randomUUID } from 'node:crypto'
import type { Db, Tx } from '#db'
import type { MergeState } from '#kernel/frames.ts'
import type { JobId, ProjectId, SessionId, UserId } from '#kernel/ids.ts'
import { ACTIVE } from '../job-states.ts'
import type { JobRow } from './job-store.ts'

export type ReviewVerb = 'merge' | 'discard' | 'revert'

/** A job with work that can be reviewed. */
export type Work = JobRow & { commit: string; branch: string; base: string }

/** A job whose review is claimed, with the claim's members set. */
export type ClaimedJob = Work & {
  readonly review_claim: string
  readonly review_verb: ReviewVerb
  readonly review_by: UserId
  readonly review_of: MergeState
  readonly review_to: MergeState
}

/** Jobs that one review changes together, oldest first: each one's work stands on the one before it. */
export interface ClaimedReview {
  readonly claim: string
  readonly projectId: ProjectId
  readonly verb: ReviewVerb
  readonly by: UserId
  readonly jobs: readonly [ClaimedJob, ...ClaimedJob[]]
}

export const hasWork = (job: JobRow): job is Work =>
  job.commit !== null && job.branch !== null && job.base !== null

/**
 * Until the transaction ends, no other review of this conversation is claimed, and no job of it decides what it starts
 * from. What depends on the lock is read by a later statement.
 */
export async function lockSession(tx: Tx, id: SessionId): Promise<void> {
  await tx.selectFrom('sessions').select('id').where('id', '=', id).forUpdate().execute()
}

/** The conversation's jobs that are held, in review or running, and this one, oldest first. */
export function readStack(db: Db, job: Pick<JobRow, 'id' | 'session_id'>): Promise<JobRow[]> {
  return db
    .selectFrom('jobs')
    .selectAll()
    .where('session_id', '=', job.session_id)
    .where((of) =>
      of.or([
        of('merge', 'in', ['held', 'merging']),
        of('status', 'in', ACTIVE),
        of('id', '=', job.id)
      ])
    )
    .orderBy('position')
    .execute()
}

/** Claims jobs for one review: their merge state becomes `merging`. The caller holds the lock of their conversation. */
export async function claimReview(
  tx: Tx,
  review: { readonly verb: ReviewVerb; readonly by: UserId },
  steps: readonly { readonly job: Work; readonly to: MergeState }[],
  now: Date
): Promise<ClaimedReview> {
  const claim = randomUUID()
  const jobs: JobRow[] = []
  for (const { job, to } of steps) {
    const claimed = await tx
      .updateTable('jobs')
      .set((of) => ({
        merge: 'merging' as const,
        review_of: of.ref('merge'),
        review_to: to,
        review_claim: claim,
        review_verb: review.verb,
        review_by: review.by,
        review_claimed_at: now
      }))
      .where('id', '=', job.id)
      .returningAll()
      .executeTakeFirstOrThrow()
    jobs.push(claimed)
  }
  return reviewOf(jobs)
}

/** What a review leaves in a job's row. */
export interface JobAfterReview {
  readonly id: JobId
  readonly merge: MergeState
  /** Of work that was replayed on other work. */
  readonly replayed?: { readonly base: string; readonly commit: string } | undefined
}

/**
 * Ends a review: writes the states of all its jobs, and what the jobs above them stand on from now on. False when the
 * claim is not there any more; then nothing is written.
 */
export async function endReview(
  tx: Tx,
  { claim, jobs }: Pick<ClaimedReview, 'claim' | 'jobs'>,
  results: readonly JobAfterReview[]
): Promise<boolean> {
  for (const { id, merge, replayed } of results) {
    const done = await tx
      .updateTable('jobs')
      .set({
        merge,
        ...replayed,
        review_of: null,
        review_to: null,
        review_claim: null,
        review_verb: null,
        review_by: null,
        review_claimed_at: null
      })
      .where('id', '=', id)
      .where('review_claim', '=', claim)
      .executeTakeFirst()
    if (done.numUpdatedRows === 0n) return false
  }
  await moveUp(tx, jobs, results)
  return true
}

/** Jobs above one that has left the stack stand on what is below it: main, if it was merged. */
async function moveUp(
  tx: Tx,
  jobs: readonly ClaimedJob[],
  results: readonly JobAfterReview[]
): Promise<void> {
  // Newest first, so that what stood on several that leave ends up below all of them.
  for (const { id, merge } of results.toReversed()) {
    if (merge !== 'merged' && merge !== 'discarded') continue
    const below = merge === 'merged' ? null : (jobs.find((job) => job.id === id)?.based_on ?? null)
    await tx.updateTable('jobs').set({ based_on: below }).where('based_on', '=', id).execute()
  }
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
    .orderBy('position')
    .execute()
  const claims = Map.groupBy(rows, ({ review_claim }) => review_claim)
  return [...claims.values()].map(reviewOf)
}

function reviewOf(rows: readonly JobRow[]): ClaimedReview {
  const [first, ...others] = rows as ClaimedJob[]
  if (!first || !rows.every(hasWork)) throw new Error('a job is in review and has no work')
  const { project_id: projectId, review_claim: claim, review_verb: verb, review_by: by } = first
  return { claim, projectId, verb, by, jobs: [first, ...others] }
}
