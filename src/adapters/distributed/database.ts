import { Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import { migrate, type Db, type Schema } from '#db'

const CONNECTIONS_MAX = 20
const CONNECT_TIMEOUT_MS = 10_000

export interface PostgresOptions {
  readonly url: string
  readonly connectionsMax?: number
  /** How long a query may wait for a connection, including the pool's queue. */
  readonly connectTimeoutMs?: number
  /** Called when an idle connection breaks; the next query gets a new one. */
  readonly onIdleError?: (error: Error) => void
}

/** A pool of connections to a PostgreSQL server. Bigints are transferred as text, so that none is rounded. */
export function openPostgres(options: PostgresOptions): Db {
  const { url, connectionsMax, connectTimeoutMs, onIdleError } = options
  const pool = new pg.Pool({
    connectionString: url,
    max: connectionsMax ?? CONNECTIONS_MAX,
    connectionTimeoutMillis: connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
    application_name: 'kilowatt'
  })
  // Without a listener, a restart of the server would end this process.
  pool.on('error', onIdleError ?? (() => {}))
  return new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) })
}

/** The shared database with all migrations; of servers that start concurrently, one runs them. */
export async function openDistributedDatabase(options: PostgresOptions): Promise<Db> {
  const db = openPostgres(options)
  try {
    await migrate(db)
    return db
  } catch (error) {
    await db.destroy()
    throw error
  }
}
