import type { ProjectId, UserId } from '#kernel/ids.ts'
import { markProjectDeleted, ownProject, readDeletedProjects } from '#projects'
import { cancel } from './cancel-job.ts'
import type { JobDeps } from '../job-deps.ts'
import { readUnfinishedJobs } from '../stores/job-read-store.ts'

const LOOK_EVERY_MS = 50
const PATIENCE_MS = 15_000

/**
 * Takes a project away: nobody finds it any more, what it was doing is cancelled, its agent stops, and its
 * files go. Its history and what it cost stay. Once it is marked, the next start ends what a crash interrupted.
 */
export async function removeProject(deps: JobDeps, userId: UserId, id: string): Promise<void> {
  const project = await ownProject(deps.db, userId, id)
  await markProjectDeleted(deps.db, project.id, deps.clock.now())
  await clearAway(deps, project.id)
}

/** Ends the removals that a server began and did not live to end. One that cannot be ended keeps no other from it. */
export async function finishRemovals(deps: JobDeps, stopping: AbortSignal): Promise<void> {
  const here = await deps.workspaces.list()
  for (const projectId of await readDeletedProjects(deps.db, here)) {
    if (stopping.aborted) return
    await clearAway(deps, projectId).catch((err: unknown) =>
      deps.log.warn({ err, projectId }, 'removed project could not be cleared away')
    )
  }
}

async function clearAway(deps: JobDeps, projectId: ProjectId): Promise<void> {
  const deadline = deps.clock.monotonicMs() + PATIENCE_MS
  // Again and again: a prompt that was just being submitted belongs to it too.
  for (;;) {
    const jobs = await readUnfinishedJobs(deps.db, projectId)
    if (jobs.length === 0 || deps.clock.monotonicMs() > deadline) break
    for (const job of jobs) await cancel(deps, job)
    await deps.clock.sleep(LOOK_EVERY_MS)
  }
  await deps.supervisor.forget(projectId)
  await deps.workspaces.remove(projectId)
  deps.log.info({ projectId }, 'project removed')
}
