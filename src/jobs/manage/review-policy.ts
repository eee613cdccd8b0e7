import type { MergeState } from '#kernel/frames.ts'
import type { JobId } from '#kernel/ids.ts'
import { ACTIVE } from '../job-states.ts'
import type { JobRow } from '../stores/job-store.ts'
import { hasWork, type ReviewVerb, type Work } from '../stores/review-store.ts'

/** The merge states that each review is for, and the one that it ends in. Between them the job is `merging`. */
export const REVIEWS = {
  merge: { from: ['held', 'conflict'], to: 'merged' },
  discard: { from: ['held', 'conflict'], to: 'discarded' },
  revert: { from: ['merged'], to: 'reverted' }
} as const satisfies Record<ReviewVerb, { from: MergeState[]; to: MergeState }>

/** One job of a review, and the merge state in which the review is to leave it. */
export interface ReviewStep {
  readonly job: Work
  readonly to: MergeState
}

export type ReviewDecision =
  /** Oldest first: each job stands on the one before it. */
  | { readonly kind: 'plan'; readonly steps: readonly ReviewStep[] }
  /** Another review of one of these jobs is under way. */
  | { readonly kind: 'busy' }
  | { readonly kind: 'no-work'; readonly why: string }
  /** The work stands on these jobs, oldest first, and they were not included. */
  | { readonly kind: 'stands-on'; readonly below: readonly JobId[] }
  /** A running job works on top of what is to be discarded. */
  | { readonly kind: 'in-use'; readonly by: JobId }

/**
 * Decides which jobs a review changes. The held jobs of a conversation form a stack: each one's commit contains the
 * commits of those below it.
 *
 * - `merge` takes everything below along. Without `includeAll` it must be nothing.
 * - `discard` takes the job out of the stack: those above it stay held and are replayed without it. With `includeAll`
 *   they are discarded too.
 * - `revert` is about one job.
 *
 * `others` are the other jobs of the conversation that are held, in review or running, oldest first.
 */
export function decideReview(
  verb: ReviewVerb,
  job: JobRow,
  others: readonly JobRow[],
  includeAll: boolean
): ReviewDecision {
  const { from, to } = REVIEWS[verb]
  if (job.merge === 'merging') return { kind: 'busy' }
  if (!(from as readonly MergeState[]).includes(job.merge) || !hasWork(job)) {
    const why = job.merge === 'none' ? 'the job left no work' : `its work is ${job.merge}`
    return { kind: 'no-work', why }
  }
  if (verb === 'revert') return { kind: 'plan', steps: [{ job, to }] }

  const related = verb === 'merge' ? jobsBelow(job, others) : jobsAbove(job, others)
  if (related.some(({ merge }) => merge === 'merging')) return { kind: 'busy' }
  if (verb === 'merge') {
    if (related.length > 0 && !includeAll) {
      return { kind: 'stands-on', below: related.map(({ id }) => id) }
    }
    return { kind: 'plan', steps: stepsOf([...related, job], to) }
  }
  const user = related.find(isActive)
  if (user) return { kind: 'in-use', by: user.id }
  return {
    kind: 'plan',
    steps: [{ job, to }, ...stepsOf(related, includeAll ? to : 'held')]
  }
}

/** The unreviewed jobs that this one's work stands on, oldest first. */
function jobsBelow(job: JobRow, others: readonly JobRow[]): JobRow[] {
  const below = others.find(({ id }) => id === job.based_on)
  if (!below || !isUnreviewed(below)) return []
  return [...jobsBelow(below, others), below]
}

/** The unreviewed and running jobs that stand on this one, oldest first. */
function jobsAbove(job: JobRow, others: readonly JobRow[]): JobRow[] {
  return others
    .filter((other) => other.based_on === job.id && (isUnreviewed(other) || isActive(other)))
    .flatMap((above) => [above, ...jobsAbove(above, others)])
}

const isUnreviewed = ({ merge }: JobRow) => merge === 'held' || merge === 'merging'
const isActive = ({ status }: JobRow) => (ACTIVE as readonly string[]).includes(status)

const stepsOf = (jobs: readonly JobRow[], to: MergeState): ReviewStep[] =>
  jobs.filter(hasWork).map((job) => ({ job, to }))
