import { sql, type Kysely } from 'kysely'

/**
 * What an edit is about to change in a workspace, written before it does and removed in the transaction that writes
 * its event. A row that is left tells the next start which edit a crash interrupted. No foreign key on the project: the
 * row of a project that is being created does not exist yet.
 */
export async function up(db: Kysely<never>): Promise<void> {
  await sql`
    CREATE TABLE pending_edits (
      id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      kind text NOT NULL CHECK (kind IN ('create', 'save', 'remove')),
      project_id text NOT NULL,
      user_id text NOT NULL,
      path text CHECK ((path IS NULL) = (kind = 'create')),
      sha text CHECK ((sha IS NOT NULL) = (kind = 'save')),
      head text CHECK ((head IS NULL) = (kind = 'create')),
      message text,
      created_at timestamptz NOT NULL DEFAULT now()
    )`.execute(db)
}
