import type { Selectable } from 'kysely'
import type { Db, Schema } from '#db'
import { sessionId, type ProjectId, type SessionId } from '#kernel/ids.ts'

export type SessionRow = Selectable<Schema['sessions']>

export async function insertSession(
  db: Db,
  projectId: ProjectId,
  title: string
): Promise<SessionRow> {
  return db
    .insertInto('sessions')
    .values({ id: sessionId.create(), project_id: projectId, title })
    .returningAll()
    .executeTakeFirstOrThrow()
}

export function readSession(db: Db, id: SessionId): Promise<SessionRow | undefined> {
  return db.selectFrom('sessions').selectAll().where('id', '=', id).executeTakeFirst()
}

/** Newest first. */
export function readSessions(
  db: Db,
  projectId: ProjectId,
  page: { readonly before?: string | undefined; readonly limit: number }
): Promise<SessionRow[]> {
  let query = db
    .selectFrom('sessions')
    .selectAll()
    .where('project_id', '=', projectId)
    .orderBy('id', 'desc')
    .limit(page.limit)
  if (page.before !== undefined) query = query.where('id', '<', page.before as SessionId)
  return query.execute()
}

/** Records the agent's own id of this conversation. */
export async function updateAgentSession(
  db: Db,
  id: SessionId,
  agentSessionId: string,
  now: Date
): Promise<void> {
  await db
    .updateTable('sessions')
    .set({ agent_session_id: agentSessionId, last_used_at: now })
    .where('id', '=', id)
    .execute()
}
