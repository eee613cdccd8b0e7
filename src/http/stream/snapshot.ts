import { toCredits } from '#kernel/money.ts'
import { ownProject } from '#projects'
import type { ProjectId, UserId } from '#kernel/ids.ts'
import type { AppDeps } from '../app-deps.ts'
import type { NoticeData } from './notices.ts'

export type SnapshotDeps = Pick<AppDeps, 'db' | 'jobs' | 'ledger' | 'editing'>

/** The state of a project at `seq` or slightly later: frames after `seq` may report parts of it again. */
export async function takeSnapshot(
  deps: SnapshotDeps,
  userId: UserId,
  projectId: ProjectId,
  seq: number
): Promise<NoticeData<'snapshot'>> {
  const [project, head, jobs, wallet] = await Promise.all([
    ownProject(deps.db, userId, projectId),
    deps.editing.head(projectId),
    deps.jobs.unfinished(projectId),
    deps.ledger.wallet(deps.db, userId)
  ])
  return {
    seq,
    project: { id: project.id, name: project.name, review: project.review, head },
    jobs,
    pending: {
      permissions: jobs.flatMap(({ id, pending }) => withJob(id, pending.permissions)),
      questions: jobs.flatMap(({ id, pending }) => withJob(id, pending.questions))
    },
    balance: toCredits(wallet.balance)
  }
}

const withJob = <T extends object>(jobId: string, prompts: readonly T[]) =>
  prompts.map((prompt) => ({ jobId, ...prompt }))
