import { existsSync } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { PGlite, types } from '@electric-sql/pglite'
import { dataDir as emptyDatabase } from '@electric-sql/pglite-prepopulatedfs'
import { Kysely, PGliteDialect } from 'kysely'
import type { Db } from '#db'
import { migrate, type Schema } from '#db'

/** A folder to keep the data in (without one they are in memory), and the dump of a folder to begin with. */
interface Place {
  readonly dataDir?: string
  readonly dump?: Blob
}

/** PostgreSQL inside this process. */
export async function createPglite({ dataDir, dump }: Place): Promise<PGlite> {
  return PGlite.create({
    ...(dataDir === undefined ? {} : { dataDir }),
    ...(dump === undefined ? {} : { loadDataDir: dump }),
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

/** The embedded database with all migrations; a new one where there is none. */
export async function openEmbeddedDatabase(dataDir: string): Promise<Db> {
  if (!existsSync(join(dataDir, 'PG_VERSION'))) await createFolder(dataDir)
  const pglite = await createPglite({ dataDir })
  const db = new Kysely<Schema>({ dialect: new PGliteDialect({ pglite }) })
  await migrate(db)
  return db
}

/**
 * Makes an empty database from a copy that its makers publish: creating one takes three times as long. A rename publishes
 * it whole, so that a crash leaves no half of one.
 */
async function createFolder(dataDir: string): Promise<void> {
  const draft = `${dataDir}.new`
  await rm(draft, { recursive: true, force: true })
  const pglite = await createPglite({ dataDir: draft, dump: await emptyDatabase() })
  await pglite.close()
  await rename(draft, dataDir)
}
