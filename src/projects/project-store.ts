import type { Db } from '#db'
import type { Review } from '#kernel/frames.ts'
import type { ProjectId, UserId } from '#kernel/ids.ts'

export interface Project {
  readonly id: ProjectId
  readonly userId: UserId
  readonly name: string
  readonly review: Review
  readonly createdAt: Date
}

const COLUMNS = ['id', 'user_id as userId', 'name', 'review', 'created_at as createdAt'] as const

const notDeleted = (db: Db) =>
  db.selectFrom('projects').select(COLUMNS).where('deleted_at', 'is', null)

export async function insertProject(
  db: Db,
  project: Pick<Project, 'id' | 'userId' | 'name' | 'review'>
): Promise<Project> {
  return db
    .insertInto('projects')
    .values({
      id: project.id,
      user_id: project.userId,
      name: project.name,
      review: project.review
    })
    .returning(COLUMNS)
    .executeTakeFirstOrThrow()
}

/** Undefined for a project of another user, a deleted one, or an unknown id. */
export function readProject(db: Db, userId: UserId, id: ProjectId): Promise<Project | undefined> {
  return notDeleted(db).where('id', '=', id).where('user_id', '=', userId).executeTakeFirst()
}

/** Whether the project has a row, also one that is marked as deleted. */
export async function projectExists(db: Db, id: ProjectId): Promise<boolean> {
  const row = await db.selectFrom('projects').select('id').where('id', '=', id).executeTakeFirst()
  return row !== undefined
}

/** Newest first; only those created before `before`. */
export function readProjects(
  db: Db,
  userId: UserId,
  page: { readonly before?: string | undefined; readonly limit: number }
): Promise<Project[]> {
  let query = notDeleted(db).where('user_id', '=', userId).orderBy('id', 'desc').limit(page.limit)
  if (page.before !== undefined) query = query.where('id', '<', page.before as ProjectId)
  return query.execute()
}

export function updateProject(
  db: Db,
  id: ProjectId,
  changes: { readonly name?: string | undefined; readonly review?: Review | undefined }
): Promise<Project> {
  return db
    .updateTable('projects')
    .set({ id, ...changes })
    .where('id', '=', id)
    .returning(COLUMNS)
    .executeTakeFirstOrThrow()
}

/** Those of the given projects that are deleted. */
export async function readDeletedProjects(
  db: Db,
  among: readonly ProjectId[]
): Promise<ProjectId[]> {
  if (among.length === 0) return []
  const rows = await db
    .selectFrom('projects')
    .select('id')
    .where('id', 'in', among)
    .where('deleted_at', 'is not', null)
    .execute()
  return rows.map(({ id }) => id)
}

/** Soft deletion: the ledger and the history refer to the row, queries for users exclude it. */
export async function markProjectDeleted(db: Db, id: ProjectId, at: Date): Promise<void> {
  await db.updateTable('projects').set({ deleted_at: at }).where('id', '=', id).execute()
}
