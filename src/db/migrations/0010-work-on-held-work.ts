import { sql, type Kysely } from 'kysely'

/**
 * A job of a conversation continues from the conversation's held work. `based_on` names the job whose unreviewed commit
 * its own stands on; null: it stands on main. A review may claim several jobs under one claim, and `review_to` is the
 * merge state in which it is to leave each of them.
 */
export async function up(db: Kysely<never>): Promise<void> {
  await sql`ALTER TABLE jobs ADD COLUMN based_on text REFERENCES jobs (id)`.execute(db)
  await sql`CREATE INDEX jobs_based_on ON jobs (based_on) WHERE based_on IS NOT NULL`.execute(db)
  // Until now a job started from the last earlier work of its conversation that was held.
  await sql`
    UPDATE jobs SET based_on = (
      SELECT below.id FROM jobs AS below
      WHERE below.session_id = jobs.session_id AND below.position < jobs.position
        AND below.merge = 'held'
      ORDER BY below.position DESC LIMIT 1)
    WHERE merge = 'held'`.execute(db)

  await sql`
    ALTER TABLE jobs ADD COLUMN review_to text
      CHECK (review_to IN ('merged', 'held', 'discarded', 'reverted'))`.execute(db)
  await sql`
    UPDATE jobs SET review_to =
      CASE review_verb WHEN 'merge' THEN 'merged' WHEN 'discard' THEN 'discarded' ELSE 'reverted' END
    WHERE review_claim IS NOT NULL`.execute(db)
  await sql`
    ALTER TABLE jobs ADD CONSTRAINT jobs_review_claim_to_check
      CHECK ((review_claim IS NULL) = (review_to IS NULL))`.execute(db)
}
