import type { ProjectId, UserId } from '#kernel/ids.ts'
import { markProjectDeleted, ownProject, readDeletedProjects } from '#projects'
import type { ApiDeps, WorkerDeps } from '../job-deps.ts'
import { readUnfinishedJobs } from '../stores/job-read-store.ts'
import { cancel } from './cancel-job.ts'

const POLL_MS = 50
const CANCEL_WAIT_MAX_MS = 15_000

/**
 * Removes a project: marks its row as deleted, cancels its jobs, stops its agent and deletes its files. Its history
 * and its ledger entries stay. Once the row is marked, the next start finishes a removal that a crash interrupted.
 */
export async function removeProject(
  deps: Pick<ApiDeps, 'db' | 'clock' | 'commands'>,
  userId: UserId,
  id: string
): Promise<void> {
  const project = await ownProject(deps.db, userId, id)
  await markProjectDeleted(deps.db, project.id, deps.clock.now())
  await deps.commands.clearProject(project.id)
}

type ClearDeps = Omit<WorkerDeps, 'commands'>

/** Finishes the removals that a crash interrupted. One that fails does not hold up the others. */
export async function finishRemovals(deps: ClearDeps, stopping: AbortSignal): Promise<void> {
  const here = await deps.workspaces.list()
  for (const projectId of await readDeletedProjects(deps.db, here)) {
    if (stopping.aborted) return
    await clearProject(deps, projectId).catch((err: unknown) =>
      deps.log.warn({ err, projectId }, 'failed to clear a removed project')
    )
  }
}

/** Cancels a deleted project's jobs, stops its agent and deletes its files. */
export async function clearProject(deps: ClearDeps, projectId: ProjectId): Promise<void> {
  const deadlineMs = deps.clock.monotonicMs() + CANCEL_WAIT_MAX_MS
  // Repeatedly: a job that was being submitted when the project was marked appears late.
  for (;;) {
    const jobs = await readUnfinishedJobs(deps.db, projectId)
    if (jobs.length === 0 || deps.clock.monotonicMs() > deadlineMs) break
    for (const job of jobs) await cancel(deps, job)
    await deps.clock.sleep(POLL_MS)
  }
  await deps.supervisor.forget(projectId)
  await deps.workspaces.remove(projectId)
  deps.log.info({ projectId }, 'project removed')
}
