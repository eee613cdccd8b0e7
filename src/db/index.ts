export { inTransaction, type Db, type Tx } from './db.ts'
export { migrate } from './migrate.ts'
export type { JobStatus, Schema, TransferKind } from './schema.ts'
