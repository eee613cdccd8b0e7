import { inTransaction, type Tx } from '#db'
import { AppError } from '#kernel/errors.ts'
import type { MergeState } from '#kernel/frames.ts'
import type { UserId } from '#kernel/ids.ts'
import { firstLine } from '#kernel/text.ts'
import { KILO, type Workspace } from '#workspaces'
import type { JobDeps } from '../job-deps.ts'
import { lockJob, readHeldCommit } from '../stores/job-read-store.ts'
import type { JobDiff, ReviewResult } from '../job-schemas.ts'
import { updateMerge, type JobRow } from '../stores/job-store.ts'
import { mergeMessage, SUBJECT_CHARS_MAX } from '../run/keep-work.ts'
import { ownJob } from '../stores/job-read-store.ts'

type ReviewDeps = Pick<JobDeps, 'db' | 'workspaces'>
type ReviewJobDeps = ReviewDeps & Pick<JobDeps, 'events'>
type ReviewVerb = 'merge' | 'discard' | 'revert'

/** Which work each verb is for, and what the work is afterwards. */
const REVIEWS = {
  merge: { from: ['held', 'conflict'], to: 'merged' },
  discard: { from: ['held', 'conflict'], to: 'discarded' },
  revert: { from: ['merged'], to: 'reverted' }
} as const satisfies Record<ReviewVerb, { from: MergeState[]; to: MergeState }>

/**
 * Carries out a person's verdict on a job's own commit. 409 `job_not_mergeable` when there is no such work, 409
 * `merge_conflict` with the paths when git cannot do it; then nothing has changed. `dryRun` changes nothing.
 * Of two verdicts at once, the second sees what the first has done.
 */
export async function reviewJob(
  deps: ReviewJobDeps,
  verb: ReviewVerb,
  userId: UserId,
  id: string,
  dryRun: boolean
): Promise<ReviewResult> {
  const { id: jobId, project_id: projectId } = await ownJob(deps.db, userId, id)

  const result = await inTransaction(deps.db, async (tx) => {
    const work = workOf(await lockJob(tx, jobId), verb)
    const workspace = deps.workspaces.open(projectId)
    const commit = await STEPS[verb]({ workspace, tx, work, dryRun })
    const { to } = REVIEWS[verb]
    if (dryRun) return { jobId, merge: to, commit: null, dryRun }

    await updateMerge(tx, jobId, to)
    const data = { head: await workspace.head(), jobId, merge: to, by: userId }
    await deps.events.append(tx, { projectId, jobId: null }, [{ type: 'project:changed', data }])
    return { jobId, merge: to, commit, dryRun }
  })
  deps.events.announce(projectId)
  return result
}

type Work = JobRow & { commit: string; branch: string; base: string }

function workOf(job: JobRow, verb: ReviewVerb): Work {
  const { commit, branch, base, merge } = job
  const fits = (REVIEWS[verb].from as readonly MergeState[]).includes(merge)
  if (fits && commit !== null && branch !== null && base !== null) {
    return { ...job, commit, branch, base }
  }
  const why = merge === 'none' ? 'the job left no work behind' : `the work is ${merge}`
  throw new AppError('job_not_mergeable', `There is nothing to ${verb}: ${why}`)
}

interface ReviewStep {
  readonly workspace: Workspace
  readonly tx: Tx
  readonly work: Work
  readonly dryRun: boolean
}

const STEPS: Record<ReviewVerb, (deed: ReviewStep) => Promise<string | null>> = {
  merge: async ({ workspace, work, dryRun }) => {
    const message = mergeMessage(work, work.branch)
    return commitOf(await workspace.mergeJob(work.commit, { author: KILO, message, dryRun }))
  },

  discard: async ({ workspace, tx, work, dryRun }) => {
    // Other work of the conversation that waits may stand on the same branch.
    const isLast = (await readHeldCommit(tx, work)) === null
    if (!dryRun && isLast) await workspace.discardJob(work.branch)
    return null
  },

  revert: async ({ workspace, work, dryRun }) => {
    const { id, base, commit, text } = work
    const message = `Revert "${firstLine(text, SUBJECT_CHARS_MAX - 9)}"\n\nReverts-Job: ${id}`
    return commitOf(await workspace.revert(base, commit, { author: KILO, message, dryRun }))
  }
}

function commitOf(answer: Awaited<ReturnType<Workspace['mergeJob']>>): string | null {
  switch (answer.kind) {
    case 'merged':
      return answer.commit
    case 'nothing':
      return null
    case 'conflict':
      throw new AppError('merge_conflict', 'The work and main have changed the same lines', {
        paths: answer.paths
      })
  }
}

const NO_DIFF: JobDiff = { base: null, head: null, files: [], truncated: false }

/** What the job itself changed. A job without a commit has an empty diff. */
export async function diffOfJob(deps: ReviewDeps, userId: UserId, id: string): Promise<JobDiff> {
  const { project_id, base, commit } = await ownJob(deps.db, userId, id)
  if (base === null || commit === null) return NO_DIFF
  const diff = await deps.workspaces.open(project_id).diff(base, commit)
  return { ...diff, files: diff.files.map((file) => ({ ...file })) }
}

/** The same as a patch that `git apply` takes. */
export async function patchOfJob(deps: ReviewDeps, userId: UserId, id: string): Promise<string> {
  const { project_id, base, commit } = await ownJob(deps.db, userId, id)
  if (base === null || commit === null) return ''
  return deps.workspaces.open(project_id).rawDiff(base, commit)
}
