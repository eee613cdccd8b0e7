import { AppError } from '#kernel/errors.ts'
import type { MergeState } from '#kernel/frames.ts'
import type { JobId } from '#kernel/ids.ts'
import { firstLine } from '#kernel/text.ts'
import { KILO, type Resolution, type Workspace } from '#workspaces'
import { mergeMessage, SUBJECT_CHARS_MAX } from '../finish/commit-messages.ts'
import type { JobAfterReview, ReviewVerb, Work } from '../stores/review-store.ts'

/** A review as git sees it: jobs with work, oldest first, and what becomes of each. */
export interface ReviewWork {
  readonly verb: ReviewVerb
  readonly steps: readonly { readonly job: Work; readonly to: MergeState }[]
  /** The unreviewed commit below the oldest of them. */
  readonly below: string | undefined
  /** What conflicting paths are to have. */
  readonly resolutions?: readonly Resolution[] | undefined
}

export interface ReviewDone {
  /** The new commit of main, if there is one. */
  readonly commit: string | null
  readonly jobs: readonly JobAfterReview[]
}

/**
 * Git's part of a review. Refuses with `merge_conflict` and what each side has; then nothing has changed. Idempotent:
 * what git has done already is not done a second time. A dry run does the same on copies.
 */
export async function runSteps(
  workspace: Workspace,
  work: ReviewWork,
  dryRun: boolean
): Promise<ReviewDone> {
  const { verb, steps, resolutions } = work
  const options = { author: KILO, dryRun, resolutions }
  const asPlanned = steps.map(({ job, to }) => ({ id: job.id, merge: to }))
  const top = steps.at(-1)!.job
  switch (verb) {
    case 'merge': {
      const message = mergeMessage(top.branch, ...steps.map(({ job }) => job))
      const merged = await workspace.mergeJob(top.commit, { ...options, message })
      return { commit: commitOf(merged), jobs: asPlanned }
    }
    case 'discard':
      return { commit: null, jobs: await drop(workspace, work, dryRun) }
    case 'revert': {
      const { id, base, commit, text } = top
      const message = `Revert "${firstLine(text, SUBJECT_CHARS_MAX - 9)}"\n\nReverts-Job: ${id}`
      const reverted = await workspace.revert(base, commit, { ...options, message })
      return { commit: commitOf(reverted), jobs: asPlanned }
    }
  }
}

/** Whether main has the result of this review, whatever error there was on the way. */
export async function isDone(workspace: Workspace, { verb, steps }: ReviewWork): Promise<boolean> {
  const { base, commit } = steps.at(-1)!.job
  const options = { author: KILO, message: '', dryRun: true }
  if (verb === 'discard') return false
  const tried =
    verb === 'merge' ? workspace.mergeJob(commit, options) : workspace.revert(base, commit, options)
  return tried.then(
    ({ kind }) => kind === 'nothing',
    () => false
  )
}

async function drop(
  workspace: Workspace,
  { steps, below }: ReviewWork,
  dryRun: boolean
): Promise<JobAfterReview[]> {
  const kept = steps.filter(({ to }) => to === 'held').map(({ job }) => job)
  const { branch } = steps[0]!.job
  const dropped = await workspace.dropWork({ branch, below, later: kept, dryRun })
  if (dropped.kind === 'conflict') {
    const { id } = kept[dropped.at]!
    throw conflict(`The work of ${id} cannot be kept without this work: include it`, dropped, id)
  }
  return steps.map(({ job, to }) => {
    const at = kept.indexOf(job)
    return { id: job.id, merge: to, replayed: dropped.replayed[at] }
  })
}

function commitOf(merged: Awaited<ReturnType<Workspace['mergeJob']>>): string | null {
  switch (merged.kind) {
    case 'merged':
      return merged.commit
    case 'nothing':
      return null
    case 'conflict':
      throw conflict('The work and main have changed the same lines', merged)
  }
}

const conflict = (
  detail: string,
  { paths, conflicts }: Pick<ConflictResult, 'paths' | 'conflicts'>,
  jobId?: JobId
) =>
  new AppError('merge_conflict', detail, {
    paths,
    conflicts,
    ...(jobId === undefined ? {} : { jobId })
  })

type ConflictResult = Extract<Awaited<ReturnType<Workspace['mergeJob']>>, { kind: 'conflict' }>
