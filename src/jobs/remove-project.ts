import type { UserId } from '#kernel/ids.ts'
import { markProjectDeleted, ownProject } from '#projects'
import { cancel } from './cancel-job.ts'
import type { JobDeps } from './job-deps.ts'
import { readUnfinishedJobs } from './job-read-store.ts'

const LOOK_EVERY_MS = 50
const PATIENCE_MS = 15_000

/**
 * Takes a project away: nobody finds it any more, what it was doing is cancelled, its agent stops, and its
 * files go. Its history and what it cost stay.
 */
export async function removeProject(deps: JobDeps, userId: UserId, id: string): Promise<void> {
  const project = await ownProject(deps.db, userId, id)
  await markProjectDeleted(deps.db, project.id, deps.clock.now())

  const deadline = deps.clock.monotonicMs() + PATIENCE_MS
  // Again and again: a prompt that was just being submitted belongs to it too.
  for (;;) {
    const jobs = await readUnfinishedJobs(deps.db, project.id)
    if (jobs.length === 0 || deps.clock.monotonicMs() > deadline) break
    for (const job of jobs) await cancel(deps, job)
    await deps.clock.sleep(LOOK_EVERY_MS)
  }
  await deps.supervisor.forget(project.id)
  await deps.workspaces.remove(project.id)
  deps.log.info({ projectId: project.id }, 'project removed')
}
