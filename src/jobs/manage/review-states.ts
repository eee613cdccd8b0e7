import type { MergeState } from '#kernel/frames.ts'
import type { ReviewVerb } from '../stores/review-store.ts'

/** The merge states that each review is for, and the one that it ends in. Between them the job is `merging`. */
export const REVIEWS = {
  merge: { from: ['held', 'conflict'], to: 'merged' },
  discard: { from: ['held', 'conflict'], to: 'discarded' },
  revert: { from: ['merged'], to: 'reverted' }
} as const satisfies Record<ReviewVerb, { from: MergeState[]; to: MergeState }>
