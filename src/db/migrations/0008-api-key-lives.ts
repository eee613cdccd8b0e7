import { sql, type Kysely } from 'kysely'

/**
 * Keys get an id that may be shown, a name, and an end: they can expire and be revoked. The ids of existing keys are
 * derived from their hashes. A ticket knows the key that it was issued with, so that it ends with the key.
 */
export async function up(db: Kysely<never>): Promise<void> {
  await sql`
    ALTER TABLE api_keys
      ADD COLUMN id text,
      ADD COLUMN name text,
      ADD COLUMN expires_at timestamptz,
      ADD COLUMN revoked_at timestamptz,
      ADD COLUMN last_used_at timestamptz`.execute(db)
  await sql`UPDATE api_keys SET id = 'key_0' || upper(left(md5(hash), 25))`.execute(db)
  await sql`ALTER TABLE api_keys ALTER COLUMN id SET NOT NULL, ADD UNIQUE (id)`.execute(db)
  await sql`CREATE INDEX api_keys_of_user ON api_keys (user_id, id)`.execute(db)
  await sql`ALTER TABLE ws_tickets ADD COLUMN key_id text REFERENCES api_keys (id)`.execute(db)
}
