import { inTransaction, type Db } from '#db'
import { AppError } from '#kernel/errors.ts'
import type { ProjectId } from '#kernel/ids.ts'
import type { Resolution, Workspace } from '#workspaces'
import type { WorkerDeps } from '../job-deps.ts'
import { readJob } from '../stores/job-read-store.ts'
import { endReview, readClaimedReviews, type ClaimedReview } from '../stores/review-store.ts'
import { isDone, runSteps, type ReviewDone, type ReviewWork } from './review-steps.ts'

export type CarryOutDeps = Pick<WorkerDeps, 'db' | 'workspaces' | 'events' | 'log'>

/**
 * Carries out a claimed review: git first, with no transaction open, then the merge states of all its jobs and a
 * `project:changed` for each in one transaction. When git refuses or fails, and has not done it, the jobs have their
 * previous merge states again. Idempotent, so that a claim that a crash left behind can be carried out again; then it has
 * no resolutions, and is given back if it needs them.
 */
export async function carryOutReview(
  deps: CarryOutDeps,
  review: ClaimedReview,
  resolutions?: readonly Resolution[]
): Promise<ReviewDone> {
  const { projectId, by } = review
  const workspace = deps.workspaces.open(projectId)
  let done: ReviewDone
  let head: string
  try {
    done = await runGit(deps, workspace, review, resolutions)
    head = await workspace.head()
  } catch (error) {
    const previous = review.jobs.map(({ id, review_of }) => ({ id, merge: review_of }))
    await inTransaction(deps.db, (tx) => endReview(tx, review, previous))
    throw error
  }

  await inTransaction(deps.db, async (tx) => {
    // Another worker that recovered this claim has recorded it.
    if (!(await endReview(tx, review, done.jobs))) return
    const drafts = done.jobs.map(({ id: jobId, merge }) => ({
      type: 'project:changed' as const,
      data: { head, jobId, merge, by }
    }))
    await deps.events.append(tx, { projectId, jobId: null }, drafts)
  })
  deps.events.announce(projectId)
  return done
}

/** Answers what a review would do, by the same refusals, and changes nothing. */
export async function tryReview(
  deps: CarryOutDeps,
  projectId: ProjectId,
  work: Omit<ReviewWork, 'below'>
): Promise<ReviewDone> {
  const below = await commitBelow(deps.db, work)
  return runSteps(deps.workspaces.open(projectId), { ...work, below }, true)
}

/** Finishes the reviews that a crash interrupted. One that cannot be finished does not hold up the others. */
export async function recoverReviews(deps: CarryOutDeps, stopping: AbortSignal): Promise<void> {
  const here = await deps.workspaces.list()
  for (const review of await readClaimedReviews(deps.db, here)) {
    if (stopping.aborted) return
    const facts = { jobIds: review.jobs.map(({ id }) => id), verb: review.verb }
    await carryOutReview(deps, review).then(
      () => deps.log.warn(facts, 'interrupted review finished'),
      (err: unknown) => deps.log.warn({ err, ...facts }, 'failed to finish an interrupted review')
    )
  }
}

/** An error after git has changed main does not undo the review: its jobs must not wait while their work is in main. */
async function runGit(
  deps: CarryOutDeps,
  workspace: Workspace,
  { verb, jobs }: ClaimedReview,
  resolutions: readonly Resolution[] | undefined
): Promise<ReviewDone> {
  const steps = jobs.map((job) => ({ job, to: job.review_to }))
  const work = { verb, steps, resolutions, below: await commitBelow(deps.db, { steps }) }
  try {
    return await runSteps(workspace, work, false)
  } catch (error) {
    if (error instanceof AppError || !(await isDone(workspace, work))) throw error
    deps.log.warn({ err: error, jobIds: jobs.map(({ id }) => id) }, 'review done despite an error')
    const results = steps.map(({ job, to }) => ({ id: job.id, merge: to }))
    return { commit: await workspace.head(), jobs: results }
  }
}

/** The commit of the unreviewed work that the oldest of these jobs stands on. */
async function commitBelow(db: Db, { steps }: Pick<ReviewWork, 'steps'>) {
  const id = steps[0]?.job.based_on
  if (!id) return undefined
  const below = await readJob(db, id)
  return (below?.merge === 'held' && below.commit) || undefined
}
