import { sql, type Kysely } from 'kysely'

/** A request is opened against its hold, closed once, and what never closed is settled with the hold. */
export async function modelRequestFunctions(db: Kysely<never>): Promise<void> {
  await sql`
    CREATE FUNCTION model_request_lock(h text) RETURNS bigint LANGUAGE plpgsql AS $$
    DECLARE taken bigint;
    BEGIN
      SELECT committed INTO taken FROM hold_meters WHERE hold_id = h FOR NO KEY UPDATE;
      IF NOT FOUND THEN
        INSERT INTO hold_meters (hold_id) VALUES (h) ON CONFLICT DO NOTHING;
        SELECT committed INTO taken FROM hold_meters WHERE hold_id = h FOR NO KEY UPDATE;
      END IF;
      RETURN taken;
    END $$`.execute(db)

  await open(db)
  await close(db)
  await settle(db)
}

async function open(db: Kysely<never>): Promise<void> {
  // Each statement sees what was committed before it: the lock comes first, and then nothing is old.
  await sql`
    CREATE FUNCTION model_request_open(r jsonb)
      RETURNS TABLE (answer text, room bigint) LANGUAGE plpgsql AS $$
    DECLARE
      q model_requests := jsonb_populate_record(NULL::model_requests, r);
      taken bigint := model_request_lock(q.hold_id);
    BEGIN
      room := (SELECT sum(amount) FROM ledger_transfers
        WHERE hold_id = q.hold_id AND kind IN ('hold', 'extend')) - taken;
      answer := CASE
        WHEN EXISTS (SELECT FROM ledger_hold_resolutions x WHERE x.hold_id = q.hold_id)
          THEN 'resolved'
        WHEN q.max_cost > room THEN 'short'
        ELSE 'open' END;
      IF answer = 'open' THEN
        INSERT INTO model_requests (id, hold_id, project_id, agent_session_id, parent_session_id,
            kind, model, max_cost, floor_cost)
          VALUES (q.id, q.hold_id, q.project_id, q.agent_session_id, q.parent_session_id,
            q.kind, q.model, q.max_cost, q.floor_cost);
        UPDATE hold_meters SET committed = committed + q.max_cost WHERE hold_id = q.hold_id;
        room := room - q.max_cost;
      END IF;
      RETURN NEXT;
    END $$`.execute(db)
}

async function close(db: Kysely<never>): Promise<void> {
  await sql`
    CREATE FUNCTION model_request_close(i text, r jsonb)
      RETURNS TABLE (answer text, overrun bigint) LANGUAGE plpgsql AS $$
    DECLARE
      q model_requests := jsonb_populate_record(NULL::model_requests, r);
      h text := (SELECT m.hold_id FROM model_requests m WHERE m.id = i);
      maximum bigint;
    BEGIN
      IF h IS NULL THEN RAISE EXCEPTION 'no model request %', i USING ERRCODE = 'KW003'; END IF;
      -- The meter before the request, as everybody locks.
      PERFORM model_request_lock(h);
      UPDATE model_requests m SET state = 'done', cost = q.cost, cost_pico_usd = q.cost_pico_usd,
          input = q.input, output = q.output, reasoning = q.reasoning, cache_read = q.cache_read,
          cache_write = q.cache_write, outcome = q.outcome, status = q.status,
          ttfb_ms = q.ttfb_ms, duration_ms = q.duration_ms, closed_at = clock_timestamp()
        WHERE m.id = i AND m.state = 'sent' RETURNING m.max_cost, m.overrun
        INTO maximum, overrun;
      answer := CASE WHEN FOUND THEN 'closed' ELSE 'already' END;
      IF answer = 'closed' THEN
        UPDATE hold_meters SET committed = committed - maximum + q.cost WHERE hold_id = h;
      END IF;
      RETURN NEXT;
    END $$`.execute(db)
}

async function settle(db: Kysely<never>): Promise<void> {
  // The wallet before the meter: what resolves the hold after this in the same transaction has it already.
  await sql`
    CREATE FUNCTION model_request_settle(h text) RETURNS bigint LANGUAGE plpgsql AS $$
    BEGIN
      PERFORM ledger_lock((SELECT wallet FROM ledger_holds WHERE id = h));
      PERFORM model_request_lock(h);
      UPDATE model_requests SET state = 'lost', cost = floor_cost, outcome = 'lost',
          closed_at = clock_timestamp()
        WHERE hold_id = h AND state = 'sent';
      IF FOUND THEN
        UPDATE hold_meters SET committed =
          (SELECT sum(cost) FROM model_requests WHERE hold_id = h) WHERE hold_id = h;
      END IF;
      RETURN (SELECT committed FROM hold_meters WHERE hold_id = h);
    END $$`.execute(db)
}
