import { sql, type Kysely } from 'kysely'

/**
 * Refunds of failures that an agent can cause itself have a budget per wallet. `ledger_goodwill` records each decision,
 * also a refusal; `ledger_resolve_goodwill` decides under the lock of the wallet, so that two jobs that end at the same
 * time never both take the last of the budget.
 */
export async function up(db: Kysely<never>): Promise<void> {
  await decisions(db)
  await resolveWithGoodwill(db)
  await audit(db)
  await sql`
    ALTER TABLE jobs ADD COLUMN goodwill text
      CHECK (goodwill IN ('refunded', 'day_limit', 'hour_limit'))`.execute(db)
}

async function decisions(db: Kysely<never>): Promise<void> {
  // The default is the time of the decision, and not that of its transaction: decisions of a wallet are ordered by its
  // lock, for which a transaction may have waited.
  await sql`
    CREATE TABLE ledger_goodwill (
      hold_id text PRIMARY KEY REFERENCES ledger_hold_resolutions,
      wallet text NOT NULL,
      amount bigint NOT NULL CHECK (amount > 0),
      decision text NOT NULL CHECK (decision IN ('refunded', 'day_limit', 'hour_limit')),
      created_at timestamptz NOT NULL DEFAULT clock_timestamp()
    )`.execute(db)
  await sql`
    CREATE INDEX ledger_goodwill_of_wallet ON ledger_goodwill (wallet, created_at)
      WHERE decision = 'refunded'`.execute(db)
  await sql`
    CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON ledger_goodwill
      FOR EACH ROW EXECUTE FUNCTION ledger_refuse()`.execute(db)
  await sql`
    CREATE TRIGGER never_emptied BEFORE TRUNCATE ON ledger_goodwill
      FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse()`.execute(db)
}

/** A job that used nothing takes nothing from the budget: it has no decision. */
async function resolveWithGoodwill(db: Kysely<never>): Promise<void> {
  await sql`
    CREATE FUNCTION ledger_resolve_goodwill(
        h text, price bigint, why text, m jsonb, per_day bigint, per_hour bigint)
      RETURNS TABLE (answer text, resolution ledger_hold_resolutions, goodwill text)
      LANGUAGE plpgsql AS $$
    DECLARE
      w text := (SELECT wallet FROM ledger_holds WHERE id = h);
      due bigint;
      ruling text;
    BEGIN
      IF w IS NULL THEN RAISE EXCEPTION 'no hold %', h USING ERRCODE = 'KW003'; END IF;
      PERFORM ledger_lock(w);
      IF NOT EXISTS (SELECT FROM ledger_hold_resolutions WHERE hold_id = h) THEN
        due := least(price, (SELECT sum(amount) FROM ledger_transfers
          WHERE hold_id = h AND kind IN ('hold', 'extend')));
      END IF;
      IF due > 0 THEN
        SELECT CASE
            WHEN due + coalesce(sum(g.amount), 0) > per_day THEN 'day_limit'
            WHEN count(*) FILTER (WHERE g.created_at > clock_timestamp() - interval '1 hour')
              >= per_hour THEN 'hour_limit'
            ELSE 'refunded' END
          INTO ruling FROM ledger_goodwill g
          WHERE g.wallet = w AND g.decision = 'refunded'
            AND g.created_at > clock_timestamp() - interval '24 hours';
      END IF;

      answer := (SELECT r.answer FROM ledger_resolve(
        h, price, coalesce(ruling <> 'refunded', false), why, m) r);
      INSERT INTO ledger_goodwill (hold_id, wallet, amount, decision)
        SELECT h, w, due, ruling WHERE ruling IS NOT NULL;

      SELECT * INTO resolution FROM ledger_hold_resolutions WHERE hold_id = h;
      goodwill := (SELECT g.decision FROM ledger_goodwill g WHERE g.hold_id = h);
      RETURN NEXT;
    END $$`.execute(db)
}

async function audit(db: Kysely<never>): Promise<void> {
  await sql`
    CREATE VIEW ledger_goodwill_audit AS
    SELECT count(*) AS goodwill_mismatch
      FROM ledger_goodwill g
        JOIN ledger_hold_resolutions r ON r.hold_id = g.hold_id
        JOIN ledger_holds h ON h.id = g.hold_id
      WHERE g.wallet <> h.wallet OR g.amount <> least(r.cost, r.amount)
        OR r.charged <> CASE g.decision WHEN 'refunded' THEN 0 ELSE g.amount END`.execute(db)
}
