import { sql, type Kysely } from 'kysely'

/**
 * A review is claimed in the job's row, carried out by git outside of any transaction, and recorded by a second
 * transaction. The claim holds what a later start needs to finish a review that a crash interrupted.
 */
export async function up(db: Kysely<never>): Promise<void> {
  await sql`ALTER TABLE jobs DROP CONSTRAINT jobs_merge_check`.execute(db)
  await sql`
    ALTER TABLE jobs ADD CONSTRAINT jobs_merge_check CHECK (merge IN
      ('none', 'merging', 'merged', 'held', 'conflict', 'discarded', 'reverted'))`.execute(db)
  await sql`
    ALTER TABLE jobs
      ADD COLUMN review_claim text,
      ADD COLUMN review_verb text CHECK (review_verb IN ('merge', 'discard', 'revert')),
      ADD COLUMN review_by text,
      ADD COLUMN review_of text CHECK (review_of IN ('held', 'conflict', 'merged')),
      ADD COLUMN review_claimed_at timestamptz,
      ADD CONSTRAINT jobs_review_claim_check CHECK (
        (merge = 'merging') = (review_claim IS NOT NULL)
        AND (review_claim IS NULL) = (review_verb IS NULL)
        AND (review_claim IS NULL) = (review_by IS NULL)
        AND (review_claim IS NULL) = (review_of IS NULL)
        AND (review_claim IS NULL) = (review_claimed_at IS NULL))`.execute(db)
  await sql`CREATE INDEX jobs_in_review ON jobs (project_id) WHERE merge = 'merging'`.execute(db)
}
