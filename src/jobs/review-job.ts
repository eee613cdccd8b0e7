import { AppError } from '#kernel/errors.ts'
import type { MergeState } from '#kernel/frames.ts'
import type { UserId } from '#kernel/ids.ts'
import type { Workspace } from '#workspaces'
import type { JobDeps } from './job-deps.ts'
import type { JobDiff, ReviewResult } from './job-schemas.ts'
import { updateMerge, type JobRow } from './job-store.ts'
import { AGENT } from './keep-work.ts'
import { ownJob } from './own-job.ts'

type ReviewDeps = Pick<JobDeps, 'db' | 'workspaces'>
type Verb = 'merge' | 'discard' | 'revert'

/** Which work each verb is for, and what the work is afterwards. */
const VERBS = {
  merge: { from: ['held', 'conflict'], to: 'merged' },
  discard: { from: ['held', 'conflict'], to: 'discarded' },
  revert: { from: ['merged'], to: 'reverted' }
} as const satisfies Record<Verb, { from: MergeState[]; to: MergeState }>

/**
 * Carries out a person's verdict on a job's work. 409 `job_not_mergeable` when there is no such work, 409
 * `merge_conflict` with the paths when git cannot do it; then nothing has changed. `dryRun` changes nothing.
 */
export async function reviewJob(
  deps: ReviewDeps,
  verb: Verb,
  userId: UserId,
  id: string,
  dryRun: boolean
): Promise<ReviewResult> {
  const job = await ownJob(deps.db, userId, id)
  const { from, to } = VERBS[verb]
  if (!(from as MergeState[]).includes(job.merge) || !job.commit || !job.branch || !job.base) {
    throw new AppError('job_not_mergeable', `There is nothing to ${verb}: the work is ${job.merge}`)
  }
  const work = { ...job, commit: job.commit, branch: job.branch, base: job.base }

  const commit = await DEEDS[verb](deps.workspaces.open(job.project_id), work, dryRun)
  if (!dryRun) await updateMerge(deps.db, job.id, [...from], to)
  return { jobId: job.id, merge: to, commit, dryRun }
}

type Work = JobRow & { commit: string; branch: string; base: string }
type Deed = (workspace: Workspace, work: Work, dryRun: boolean) => Promise<string | null>

const DEEDS: Record<Verb, Deed> = {
  merge: async (workspace, { id, branch }, dryRun) =>
    commitOf(
      await workspace.mergeJob(branch, {
        author: AGENT,
        message: `Merge ${branch}\n\nJob-Id: ${id}`,
        dryRun
      })
    ),
  discard: async (workspace, { branch }, dryRun) => {
    if (!dryRun) await workspace.discardJob(branch)
    return null
  },
  revert: async (workspace, { id, base, commit, text }, dryRun) =>
    commitOf(
      await workspace.revert(base, commit, {
        author: AGENT,
        message: `Revert "${text.trim().split('\n', 1)[0]!.slice(0, 60)}"\n\nReverts-Job: ${id}`,
        dryRun
      })
    )
}

type GitAnswer = Awaited<ReturnType<Workspace['mergeJob']>>

function commitOf(answer: GitAnswer): string | null {
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
