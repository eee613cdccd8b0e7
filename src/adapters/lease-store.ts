import { sql } from 'kysely'
import type { Db } from '#db'
import type { ProjectId } from '#kernel/ids.ts'

/** The database's clock decides, so that machines need not agree on the time. */
const fromNow = (ms: number) => sql<Date>`clock_timestamp() + ${ms} * interval '1 millisecond'`

/** Takes a free lease with a token larger than every earlier one; undefined while somebody holds it. */
export async function takeLeaseRow(
  db: Db,
  projectId: ProjectId,
  holder: string,
  ttlMs: number
): Promise<bigint | undefined> {
  const row = await db
    .insertInto('project_leases')
    .values({ project_id: projectId, token: '1', holder, expires_at: fromNow(ttlMs) })
    .onConflict((conflict) =>
      conflict
        .column('project_id')
        .doUpdateSet({
          token: sql`project_leases.token + 1`,
          holder,
          expires_at: fromNow(ttlMs)
        })
        .where('project_leases.expires_at', '<', sql<Date>`clock_timestamp()`)
    )
    .returning('token')
    .executeTakeFirst()
  return row && BigInt(row.token)
}

/** Moves the end of a lease; false when it is no longer ours. */
export async function renewLeaseRow(
  db: Db,
  projectId: ProjectId,
  token: bigint,
  ttlMs: number
): Promise<boolean> {
  const done = await db
    .updateTable('project_leases')
    .set({ expires_at: fromNow(ttlMs) })
    .where('project_id', '=', projectId)
    .where('token', '=', String(token))
    .where('expires_at', '>', sql<Date>`clock_timestamp()`)
    .executeTakeFirst()
  return done.numUpdatedRows === 1n
}

/** Gives the project back; the row stays, for its token. */
export async function releaseLeaseRow(db: Db, projectId: ProjectId, token: bigint): Promise<void> {
  await db
    .updateTable('project_leases')
    .set({ expires_at: sql<Date>`clock_timestamp() - interval '1 millisecond'` })
    .where('project_id', '=', projectId)
    .where('token', '=', String(token))
    .execute()
}

/** Ends every lease: for the one process that has just proved that it alone owns this database. */
export async function expireAllLeaseRows(db: Db): Promise<void> {
  await db
    .updateTable('project_leases')
    .set({ expires_at: sql<Date>`clock_timestamp() - interval '1 millisecond'` })
    .where('expires_at', '>', sql<Date>`clock_timestamp()`)
    .execute()
}
