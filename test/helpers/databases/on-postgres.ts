import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import rootTest from 'tap'
import type { Db } from '#db'
import {
  openDistributedDatabase,
  openPostgres
} from '../../../src/adapters/distributed/database.ts'
import { PATIENCE_MS, until } from '../patience.ts'
import { findPostgres, startPostgres } from './postgres.ts'

interface Closing {
  teardown(close: () => Promise<void>): void
}

export interface PostgresTests {
  /** A database of one's own, up to date and empty, with a pool of so many connections. */
  (t: Closing, connectionsMax?: number): Promise<Db>
  /** How many deadlocks the server has seen in databases that are closed again. */
  deadlocks(): number
  /** The same as a URL, for tests that open it; without `upToDate` it is not migrated. */
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

/** Every test gets a copy of a template: the run's, when `npm test` has made one, else one of this file. */
function postgresTests(urlOf: (database: string) => string): PostgresTests {
  const server = openPostgres({ url: urlOf('postgres'), connectionsMax: 2 })
  rootTest.teardown(() => server.destroy())
  const shared = process.env['TEST_DATABASE_TEMPLATE']
  let template = shared === undefined ? undefined : Promise.resolve(shared)
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
    const pool = { url: await url(t), connectionsMax, connectPatienceMs: PATIENCE_MS }
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
