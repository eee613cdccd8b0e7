import { Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import { migrate, type Db, type Schema } from '#db'

const CONNECTIONS_MAX = 20
const CONNECT_PATIENCE_MS = 10_000

export interface PostgresOptions {
  readonly url: string
  readonly connectionsMax?: number
  /** How long a query may wait for a connection, the queue for those of the pool included. */
  readonly connectPatienceMs?: number
  /** Hears of a connection that broke while nobody used it; the next query gets a new one. */
  readonly onIdleError?: (error: Error) => void
}

/** A pool of connections to a PostgreSQL server. Bigints travel as text, so that none is rounded on the way. */
export function openPostgres(options: PostgresOptions): Db {
  const { url, connectionsMax, connectPatienceMs, onIdleError } = options
  const pool = new pg.Pool({
    connectionString: url,
    max: connectionsMax ?? CONNECTIONS_MAX,
    connectionTimeoutMillis: connectPatienceMs ?? CONNECT_PATIENCE_MS,
    application_name: 'kilowatt'
  })
  // Without a listener a server that restarts would end this process.
  pool.on('error', onIdleError ?? (() => {}))
  return new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) })
}

/** The shared database, brought up to date; of several servers that start at once one does it. */
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
