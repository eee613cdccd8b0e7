import { inTransaction } from '#db'
import { AppError } from '#kernel/errors.ts'
import { firstLine } from '#kernel/text.ts'
import { KILO, type Workspace } from '#workspaces'
import { mergeMessage, SUBJECT_CHARS_MAX } from '../finish/commit-messages.ts'
import type { WorkerDeps } from '../job-deps.ts'
import { readHeldCommit } from '../stores/job-read-store.ts'
import {
  endReview,
  hasWork,
  readClaimedReviews,
  type ClaimedReview,
  type ReviewVerb,
  type Work
} from '../stores/review-store.ts'
import { REVIEWS } from './review-states.ts'

export type CarryOutDeps = Pick<WorkerDeps, 'db' | 'workspaces' | 'events' | 'log'>

/**
 * Carries out a claimed review: git first, with no transaction open, then the merge state and `project:changed` in one
 * transaction. Answers the new commit of main, if there is one. When git refuses or fails, the job has its previous
 * merge state again. Idempotent: what git has done already is not done a second time, so that a claim that a crash left
 * behind can be carried out again.
 */
export async function carryOutReview(
  deps: CarryOutDeps,
  review: ClaimedReview
): Promise<string | null> {
  const { project_id: projectId, review_verb: verb } = review
  const workspace = deps.workspaces.open(projectId)
  let commit: string | null
  let head: string
  try {
    commit = await runReview(deps, workspace, review, verb)
    head = await workspace.head()
  } catch (error) {
    await endReview(deps.db, review, review.review_of)
    throw error
  }

  const merge = REVIEWS[verb].to
  const data = { head, jobId: review.id, merge, by: review.review_by }
  await inTransaction(deps.db, async (tx) => {
    // Another worker that recovered this claim has recorded it.
    if (!(await endReview(tx, review, merge))) return
    await deps.events.append(tx, { projectId, jobId: null }, [{ type: 'project:changed', data }])
  })
  deps.events.announce(projectId)
  return commit
}

/** Answers what a review would do, by the same refusals, and changes nothing. */
export async function tryReview(deps: CarryOutDeps, work: Work, verb: ReviewVerb): Promise<void> {
  const workspace = deps.workspaces.open(work.project_id)
  await STEPS[verb]({ deps, workspace, work, dryRun: true })
}

/** Finishes the reviews that a crash interrupted. One that cannot be finished does not hold up the others. */
export async function recoverReviews(deps: CarryOutDeps, stopping: AbortSignal): Promise<void> {
  const here = await deps.workspaces.list()
  for (const review of await readClaimedReviews(deps.db, here)) {
    if (stopping.aborted) return
    const facts = { jobId: review.id, verb: review.review_verb }
    await carryOutReview(deps, review).then(
      () => deps.log.warn(facts, 'interrupted review finished'),
      (err: unknown) => deps.log.warn({ err, ...facts }, 'failed to finish an interrupted review')
    )
  }
}

function runReview(
  deps: CarryOutDeps,
  workspace: Workspace,
  review: ClaimedReview,
  verb: ReviewVerb
): Promise<string | null> {
  if (!hasWork(review)) throw new Error(`job ${review.id} is in review and has no work`)
  return STEPS[verb]({ deps, workspace, work: review, dryRun: false })
}

interface ReviewStep {
  readonly deps: CarryOutDeps
  readonly workspace: Workspace
  readonly work: Work
  readonly dryRun: boolean
}

const STEPS: Record<ReviewVerb, (step: ReviewStep) => Promise<string | null>> = {
  merge: async ({ workspace, work, dryRun }) => {
    const message = mergeMessage(work, work.branch)
    return commitOf(await workspace.mergeJob(work.commit, { author: KILO, message, dryRun }))
  },

  discard: async ({ deps, workspace, work, dryRun }) => {
    // Other work of the conversation that waits for review may stand on the same branch.
    const isLast = (await readHeldCommit(deps.db, work)) === null
    if (!dryRun && isLast) await workspace.discardJob(work.branch)
    return null
  },

  revert: async ({ workspace, work, dryRun }) => {
    const { id, base, commit, text } = work
    const message = `Revert "${firstLine(text, SUBJECT_CHARS_MAX - 9)}"\n\nReverts-Job: ${id}`
    return commitOf(await workspace.revert(base, commit, { author: KILO, message, dryRun }))
  }
}

function commitOf(merged: Awaited<ReturnType<Workspace['mergeJob']>>): string | null {
  switch (merged.kind) {
    case 'merged':
      return merged.commit
    case 'nothing':
      return null
    case 'conflict':
      throw new AppError('merge_conflict', 'The work and main have changed the same lines', {
        paths: merged.paths
      })
  }
}
