import { tracingChannel } from 'node:diagnostics_channel'
import type { Kysely, Transaction } from 'kysely'
import type { Schema } from './schema.ts'

/** A database or the caller's transaction: stores accept either. */
export type Db = Kysely<Schema>
export type Tx = Transaction<Schema>

/** Published around every transaction: a test proves with it that nothing slow runs inside one. */
const transactions = tracingChannel('kilowatt:transaction')

/**
 * Runs in the caller's transaction when there is one, else in one of its own. Nothing slow belongs inside: on PGlite,
 * which has one connection, a transaction holds up every other query of the server.
 */
export function inTransaction<T>(db: Db, work: (tx: Tx) => Promise<T>): Promise<T> {
  if (db.isTransaction) return work(db as Tx)
  return transactions.tracePromise(() => db.transaction().execute(work), {})
}
