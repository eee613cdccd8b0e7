import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PGlite } from '@electric-sql/pglite'
import { Kysely, PGliteDialect, sql } from 'kysely'
import rootTest from 'tap'
import { migrate, type Db } from '#db'
import { openDistributedDatabase, openPostgres } from '../../src/adapters/distributed/database.ts'
import { openPglite } from '../../src/adapters/embedded/database.ts'
import { PATIENCE_MS, until } from './patience.ts'
import { findPostgres, startPostgres } from './postgres.ts'

const MIGRATIONS = join(import.meta.dirname, '../../src/db/migrations')

interface Closing {
  teardown(close: () => Promise<void>): void
}

let dump: Promise<Blob> | undefined

/**
 * A database of one's own, up to date and empty, gone at the end of the test. Migrating takes seconds and copying
 * takes a fraction of one, so it is migrated once for a state of the migrations and copied from then on.
 */
export async function openTestDatabase(t: Closing): Promise<Db> {
  dump ??= loadOrMakeDump()
  const db = await openPglite({ dump: await dump })
  t.teardown(() => db.destroy())
  return db
}

async function loadOrMakeDump(): Promise<Blob> {
  const path = join(tmpdir(), `kilowatt-test-${await stateOfMigrations()}.tar`)
  try {
    return new Blob([await readFile(path)])
  } catch {
    const made = await makeDump()
    // Beside its place first: another test process may be reading there.
    const draft = `${path}.${randomUUID()}`
    await writeFile(draft, Buffer.from(await made.arrayBuffer()))
    await rename(draft, path)
    return made
  }
}

async function makeDump(): Promise<Blob> {
  const pglite = await PGlite.create()
  const db: Db = new Kysely({ dialect: new PGliteDialect({ pglite }) })
  await migrate(db)
  const made = await pglite.dumpDataDir('none')
  await db.destroy()
  return made
}

async function stateOfMigrations(): Promise<string> {
  const hash = createHash('sha256')
  for (const file of (await readdir(MIGRATIONS)).sort())
    hash.update(file).update(await readFile(join(MIGRATIONS, file)))
  return hash.digest('hex').slice(0, 16)
}

export interface PostgresTests {
  /** A database of one's own, up to date and empty, with a pool of so many connections. */
  (t: Closing, connectionsMax?: number): Promise<Db>
  /** How many deadlocks the server has seen in databases that are closed again. */
  deadlocks(): number
  /** The same as an address, for whoever opens it; without `upToDate` nothing has been migrated there. */
  url(t: Closing, options?: { readonly upToDate: boolean }): Promise<string>
}

/**
 * Defines tests that need a PostgreSQL server: the one that `TEST_DATABASE_URL` names, or one that is started and
 * ends with the test file. Without either they are skipped and say so; CI leaves nothing out, and fails.
 */
export async function onPostgres(
  says: string,
  define: (open: PostgresTests) => void
): Promise<void> {
  const given = process.env['TEST_DATABASE_URL']
  if (given) return define(postgresTests((name) => withDatabase(given, name)))

  const bin = await findPostgres()
  if (bin === undefined) {
    const missing = 'no PostgreSQL here (bash .ci/install-servers, or TEST_DATABASE_URL)'
    if (process.env['CI']) throw new Error(`${says}: ${missing}`)
    rootTest.test(says, { skip: missing }, async () => {})
    return
  }
  const server = await startPostgres(bin)
  rootTest.teardown(() => server[Symbol.asyncDispose]())
  define(postgresTests(server.url))
}

function withDatabase(url: string, name: string): string {
  const other = new URL(url)
  other.pathname = `/${name}`
  return other.href
}

/** Migrated once, as a template; every test gets a copy of it. */
function postgresTests(urlOf: (database: string) => string): PostgresTests {
  const server = openPostgres({ url: urlOf('postgres'), connectionsMax: 2 })
  rootTest.teardown(() => server.destroy())
  let template: Promise<string> | undefined
  let deadlocks = 0

  const make = async (t: Closing, from?: string) => {
    const name = `kilowatt_test_${randomBytes(8).toString('hex')}`
    const like = sql.raw(from === undefined ? '' : ` TEMPLATE ${from} STRATEGY FILE_COPY`)
    await sql`CREATE DATABASE ${sql.table(name)}${like}`.execute(server)
    t.teardown(async () => {
      await untilUnused(server, name)
      deadlocks += await countDeadlocks(server, name)
      await sql`DROP DATABASE ${sql.table(name)} WITH (FORCE)`.execute(server)
    })
    return name
  }
  const makeTemplate = async () => {
    const name = await make({ teardown: (close) => rootTest.teardown(close) })
    await (await openDistributedDatabase({ url: urlOf(name) })).destroy()
    return name
  }
  const url = async (t: Closing, { upToDate } = { upToDate: true }) =>
    urlOf(await make(t, upToDate ? await (template ??= makeTemplate()) : undefined))

  const open = async (t: Closing, connectionsMax = 10) => {
    const pool = { url: await url(t), connectionsMax, connectTimeoutMs: PATIENCE_MS }
    const db = openPostgres(pool)
    t.teardown(() => db.destroy())
    return db
  }
  return Object.assign(open, { url, deadlocks: () => deadlocks })
}

/** A backend tells what it has counted when it ends, and that is a moment after its connection was closed. */
async function untilUnused(server: Db, database: string): Promise<void> {
  await until(`${database} to be unused`, async () => {
    const { rows } = await sql`
      SELECT FROM pg_stat_activity WHERE datname = ${database} AND backend_type = 'client backend'`.execute(
      server
    )
    return rows.length === 0
  })
}

async function countDeadlocks(server: Db, database: string): Promise<number> {
  const { rows } = await sql<{ deadlocks: string }>`
    SELECT deadlocks FROM pg_stat_database WHERE datname = ${database}`.execute(server)
  return Number(rows[0]?.deadlocks)
}
