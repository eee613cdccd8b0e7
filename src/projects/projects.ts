import type { Db } from '#db'
import { AppError } from '#kernel/errors.ts'
import { projectId, type UserId } from '#kernel/ids.ts'
import { readProject, type Project } from './project-store.ts'

/**
 * The project of that id, if it is this user's own. Anybody else's, a deleted one and a text that is no id
 * are refused alike, as `not_found`: what one may not see does not exist.
 */
export async function ownProject(db: Db, userId: UserId, id: string): Promise<Project> {
  const known = projectId.parse(id)
  const project = known && (await readProject(db, userId, known))
  if (!project) throw new AppError('not_found', `There is no project ${id}`)
  return project
}
