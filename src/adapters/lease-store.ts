import { sql } from 'kysely'
import type { Db } from '#db'
import type { ProjectId } from '#kernel/ids.ts'

/** By the database's clock, so that the clocks of the machines do not matter. */
const fromNow = (ms: number) => sql<Date>`clock_timestamp() + ${ms} * interval '1 millisecond'`

/** Acquires a free or expired lease, with a larger fencing token; undefined while another worker holds it. */
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

/**
 * Extends a lease; false when another worker has it. One that has expired and was not taken is extended all the same: the
 * clock may have been set forward, or the holder's machine suspended.
 */
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
    .executeTakeFirst()
  return done.numUpdatedRows === 1n
}

/** Releases the lease; the row stays, for its token. */
export async function releaseLeaseRow(db: Db, projectId: ProjectId, token: bigint): Promise<void> {
  await db
    .updateTable('project_leases')
    .set({ expires_at: sql<Date>`clock_timestamp() - interval '1 millisecond'` })
    .where('project_id', '=', projectId)
    .where('token', '=', String(token))
    .execute()
}

/** Expires every lease: for a process that owns the database exclusively. */
export async function expireAllLeaseRows(db: Db): Promise<void> {
  await db
    .updateTable('project_leases')
    .set({ expires_at: sql<Date>`clock_timestamp() - interval '1 millisecond'` })
    .where('expires_at', '>', sql<Date>`clock_timestamp()`)
    .execute()
}
