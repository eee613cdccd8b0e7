import { PGlite, types } from '@electric-sql/pglite'
import { Kysely, PGliteDialect } from 'kysely'
import type { Db } from '#db'
import { migrate, type Schema } from '#db'

/** PostgreSQL inside this process. `where` is a folder, or a dump of one for a database in memory. */
export async function createPglite(where: { dataDir: string } | { dump: Blob }): Promise<PGlite> {
  return PGlite.create({
    ...('dump' in where ? { loadDataDir: where.dump } : { dataDir: where.dataDir }),
    startParams: [
      ...PGlite.defaultStartParams,
      // A start after a crash arms this timer, and it would keep the process alive when the database is closed.
      ...['-c', 'log_startup_progress_interval=0'],
      // Nothing gathers statistics here (there is no autovacuum), and without them a page of history would be found by
      // reading and sorting all that comes after it, instead of along the index until the page is full.
      ...['-c', 'enable_bitmapscan=off']
    ],
    // As with `pg`: bigints travel as text, so that none is rounded on the way.
    parsers: { [types.INT8]: (value: string) => value }
  })
}

/** The embedded database, brought up to date. */
export async function openEmbeddedDatabase(dataDir: string): Promise<Db> {
  const pglite = await createPglite({ dataDir })
  const db = new Kysely<Schema>({ dialect: new PGliteDialect({ pglite }) })
  await migrate(db)
  return db
}
