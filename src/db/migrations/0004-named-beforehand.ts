import { sql, type Kysely } from 'kysely'

/** What a request makes has its name before it is made, so that the same request after a crash finds it. */
export async function up(db: Kysely<never>): Promise<void> {
  await sql`ALTER TABLE idempotency_keys ADD COLUMN ulid text`.execute(db)
}
