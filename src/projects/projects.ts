import type { Db } from '#db'
import { AppError } from '#kernel/errors.ts'
import { projectId, type UserId } from '#kernel/ids.ts'
import { readProject, type Project } from './project-store.ts'

/**
 * The user's own project with this id. A project of another user, a deleted one and an invalid id are all refused as
 * `not_found`, so that the answer does not reveal whether the project exists.
 */
export async function ownProject(db: Db, userId: UserId, id: string): Promise<Project> {
  const known = projectId.parse(id)
  const project = known && (await readProject(db, userId, known))
  if (!project) throw new AppError('not_found', `Unknown project ${id}`)
  return project
}
