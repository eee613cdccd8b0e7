import type { Selectable } from 'kysely'
import type { Db, Schema } from '#db'
import type { ProjectId, UserId } from '#kernel/ids.ts'
import { forClients, fromClient } from '#workspaces'

export type PendingEdit = Selectable<Schema['pending_edits']>

export type NewPendingEdit =
  | { readonly kind: 'create'; readonly projectId: ProjectId; readonly userId: UserId }
  | {
      readonly kind: 'save' | 'remove'
      readonly projectId: ProjectId
      readonly userId: UserId
      readonly path: string
      /** The git blob id that a save is to leave; null for a removal. */
      readonly sha: string | null
      /** The commit of main before the edit. */
      readonly head: string
      readonly message?: string | undefined
    }

/** Records an edit before it changes the workspace. Answers the row's id. */
export async function insertPendingEdit(db: Db, edit: NewPendingEdit): Promise<string> {
  const file = edit.kind === 'create' ? undefined : edit
  const { id } = await db
    .insertInto('pending_edits')
    .values({
      kind: edit.kind,
      project_id: edit.projectId,
      user_id: edit.userId,
      path: file ? storable(file.path) : null,
      sha: file?.sha ?? null,
      head: file?.head ?? null,
      message: file?.message ?? null
    })
    .returning('id')
    .executeTakeFirstOrThrow()
  return id
}

export async function deletePendingEdit(db: Db, id: string): Promise<void> {
  await db.deleteFrom('pending_edits').where('id', '=', id).execute()
}

/** Oldest first. */
export async function readPendingEdits(db: Db): Promise<PendingEdit[]> {
  const rows = await db.selectFrom('pending_edits').selectAll().orderBy('id').execute()
  return rows.map((row) => ({ ...row, path: row.path === null ? null : restored(row.path) }))
}

/** A path has no leading slash, so one marks a path whose name is no UTF-8, which the database cannot store. */
function storable(path: string): string {
  const named = forClients(path)
  return named.pathEncoding === undefined ? path : `/${named.path}`
}

const restored = (stored: string): string =>
  stored.startsWith('/')
    ? (fromClient({ path: stored.slice(1), pathEncoding: 'percent' }) ?? stored)
    : stored
