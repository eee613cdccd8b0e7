import type { Kysely, Transaction } from 'kysely'
import type { Schema } from './schema.ts'

/** A database or the caller's transaction: stores accept either. */
export type Db = Kysely<Schema>
export type Tx = Transaction<Schema>

/** Runs in the caller's transaction when there is one, else in one of its own. */
export function inTransaction<T>(db: Db, work: (tx: Tx) => Promise<T>): Promise<T> {
  return db.isTransaction ? work(db as Tx) : db.transaction().execute(work)
}
