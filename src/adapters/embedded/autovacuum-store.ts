import { sql } from 'kysely'
import type { Db } from '#db'

const VACUUM_THRESHOLD_ROWS = 50
const VACUUM_SCALE_FACTOR = 0.2

/** Tables of which a fifth of the rows has changed or died since the last vacuum: PostgreSQL's own thresholds. */
async function readDueTables(db: Db): Promise<string[]> {
  // Counters are buffered for a second before they can be read.
  await sql`SELECT pg_stat_force_next_flush()`.execute(db)
  const { rows } = await sql<{ name: string }>`
    SELECT quote_ident(schemaname) || '.' || quote_ident(relname) AS name
    FROM pg_stat_user_tables
    WHERE greatest(n_dead_tup, n_mod_since_analyze) >
      ${VACUUM_THRESHOLD_ROWS} + ${VACUUM_SCALE_FACTOR}::float8 * n_live_tup
    ORDER BY name`.execute(db)
  return rows.map(({ name }) => name)
}

/**
 * Does the work of PostgreSQL's autovacuum: frees dead rows and updates statistics of the tables that need it. Returns
 * their names. Other queries wait for one table at most, not for all of them.
 */
export async function vacuumDueTables(db: Db): Promise<string[]> {
  const tables = await readDueTables(db)
  for (const table of tables) await sql`VACUUM (ANALYZE) ${sql.raw(table)}`.execute(db)
  return tables
}
