import { toCredits } from '#kernel/money.ts'
import type { JobView } from '#jobs'
import { ownProject } from '#projects'
import type { ProjectId, UserId } from '#kernel/ids.ts'
import type { AppDeps } from '../app-deps.ts'

export type SnapshotDeps = Pick<AppDeps, 'db' | 'jobs' | 'ledger' | 'workspaces'>

/** How a project stands, at `seq` or a little later: frames after `seq` may tell of it once more. */
export async function takeSnapshot(
  deps: SnapshotDeps,
  userId: UserId,
  projectId: ProjectId,
  seq: number
) {
  const [project, head, jobs, wallet] = await Promise.all([
    ownProject(deps.db, userId, projectId),
    deps.workspaces.open(projectId).head(),
    deps.jobs.unfinished(projectId),
    deps.ledger.wallet(deps.db, userId)
  ])
  return {
    seq,
    project: { id: project.id, name: project.name, review: project.review, head },
    jobs,
    pending: {
      permissions: pendingOf(jobs, 'permissions'),
      questions: pendingOf(jobs, 'questions')
    },
    balance: toCredits(wallet.balance)
  }
}

const pendingOf = (jobs: readonly JobView[], kind: keyof JobView['pending']) =>
  jobs.flatMap(({ id, pending }) => pending[kind].map((one) => ({ jobId: id, ...one })))
