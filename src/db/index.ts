export { inTransaction, type Db, type Tx } from './db.ts'
export {
  createIdempotencyStore,
  type IdempotencyStore,
  type IdempotentRequest,
  type StoredAnswer
} from './idempotency-store.ts'
export { migrate } from './migrate.ts'
export type { Schema } from './schema.ts'
export type { TransferKind } from './schema-ledger.ts'
