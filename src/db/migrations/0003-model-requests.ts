import { sql, type Kysely } from 'kysely'
import { modelRequestFunctions } from './0003-model-request-functions.ts'

/** One row a model request, and how much of each hold is committed to them. */
export async function up(db: Kysely<never>): Promise<void> {
  // The row that parallel requests of one job queue up for.
  await sql`
    CREATE TABLE hold_meters (
      hold_id text PRIMARY KEY REFERENCES ledger_holds,
      committed bigint NOT NULL DEFAULT 0 CHECK (committed >= 0)
    )`.execute(db)

  await sql`
    CREATE TABLE model_requests (
      id text PRIMARY KEY,
      hold_id text NOT NULL REFERENCES hold_meters,
      project_id text NOT NULL,
      agent_session_id text,
      parent_session_id text,
      kind text NOT NULL CHECK (kind IN ('turn', 'title')),
      model text NOT NULL,
      max_cost bigint NOT NULL CHECK (max_cost >= 0),
      floor_cost bigint NOT NULL CHECK (floor_cost BETWEEN 0 AND max_cost),
      state text NOT NULL DEFAULT 'sent' CHECK (state IN ('sent', 'done', 'lost')),
      cost bigint CHECK (cost >= 0),
      cost_pico_usd bigint CHECK (cost_pico_usd >= 0),
      overrun bigint NOT NULL GENERATED ALWAYS AS (greatest(cost - max_cost, 0)) STORED,
      input bigint,
      output bigint,
      reasoning bigint,
      cache_read bigint,
      cache_write bigint,
      outcome text,
      status integer,
      ttfb_ms integer,
      duration_ms integer,
      created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
      closed_at timestamptz,
      CHECK ((state = 'sent') = (cost IS NULL)),
      CHECK ((state = 'sent') = (closed_at IS NULL)),
      CHECK (state <> 'done' OR (outcome, input, output, reasoning, cache_read, cache_write) IS NOT NULL)
    )`.execute(db)
  await sql`CREATE INDEX model_requests_of_hold ON model_requests (hold_id)`.execute(db)

  await modelRequestFunctions(db)
  await audit(db)

  // What session metadata said otherwise than the gateway, step by step.
  await sql`ALTER TABLE jobs ADD COLUMN usage_mismatch jsonb`.execute(db)
}

async function audit(db: Kysely<never>): Promise<void> {
  await sql`
    CREATE VIEW model_request_audit AS
    WITH of_hold AS (
      SELECT hold_id, sum(coalesce(cost, max_cost)) AS committed,
        count(*) FILTER (WHERE state = 'sent') AS sent
      FROM model_requests GROUP BY hold_id
    )
    SELECT
      (SELECT count(*) FROM hold_meters m LEFT JOIN of_hold o USING (hold_id)
        WHERE m.committed <> coalesce(o.committed, 0)) AS committed_mismatch,
      (SELECT count(*) FROM of_hold o JOIN ledger_hold_resolutions r USING (hold_id)
        WHERE o.sent > 0 OR o.committed <> r.cost) AS unsettled_requests`.execute(db)
}
