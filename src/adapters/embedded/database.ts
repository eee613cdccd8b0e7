import { PGlite, types } from '@electric-sql/pglite'
import { Kysely, PGliteDialect } from 'kysely'
import type { Db } from '#db'
import { migrate, type Schema } from '#db'

/** PostgreSQL inside this process: from a folder, or in memory from the dump of a folder. */
export async function createPglite(where: { dataDir: string } | { dump: Blob }): Promise<PGlite> {
  return PGlite.create({
    ...('dump' in where ? { loadDataDir: where.dump } : { dataDir: where.dataDir }),
    startParams: [
      ...PGlite.defaultStartParams,
      // Recovery after a crash arms this timer, which would keep the process alive after the database is closed.
      '-c',
      'log_startup_progress_interval=0',
      // Without fresh statistics (there is no autovacuum) the planner would read and sort all frames after a cursor,
      // instead of following the index until the page is full.
      '-c',
      'enable_bitmapscan=off'
    ],
    // As with `pg`: bigints are transferred as text, so that none is rounded.
    parsers: { [types.INT8]: (value: string) => value }
  })
}

/** The embedded database with all migrations. */
export async function openEmbeddedDatabase(dataDir: string): Promise<Db> {
  const pglite = await createPglite({ dataDir })
  const db = new Kysely<Schema>({ dialect: new PGliteDialect({ pglite }) })
  await migrate(db)
  return db
}
