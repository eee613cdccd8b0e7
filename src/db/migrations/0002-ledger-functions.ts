import { sql, type Kysely } from 'kysely'

/** The five movements of money. Each locks the wallet first, so they queue up and none of them deadlocks. */
export async function ledgerFunctions(db: Kysely<never>): Promise<void> {
  await sql`
    CREATE FUNCTION ledger_lock(w text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
      PERFORM 1 FROM ledger_accounts WHERE wallet = w ORDER BY id FOR NO KEY UPDATE;
      IF NOT FOUND THEN RAISE EXCEPTION 'no wallet %', w USING ERRCODE = 'KW003'; END IF;
    END $$`.execute(db)
  await sql`
    CREATE FUNCTION ledger_account(c text) RETURNS bigint LANGUAGE sql STABLE AS
      $$ SELECT id FROM ledger_accounts WHERE code = c $$`.execute(db)
  await sql`
    CREATE FUNCTION ledger_available(w text) RETURNS bigint LANGUAGE sql STABLE AS
      $$ SELECT balance FROM ledger_accounts WHERE code = w || ':available' $$`.execute(db)

  await openAndGrant(db)
  await hold(db)
  await extend(db)
  await resolve(db)
}

async function openAndGrant(db: Kysely<never>): Promise<void> {
  await sql`
    CREATE FUNCTION ledger_open(w text) RETURNS void LANGUAGE sql AS $$
      INSERT INTO ledger_accounts (code, wallet, floor)
        VALUES (w || ':available', w, 0), (w || ':held', w, 0), (w || ':spent', w, 0)
        ON CONFLICT DO NOTHING $$`.execute(db)

  await sql`
    CREATE FUNCTION ledger_grant(k text, w text, n bigint, m jsonb)
      RETURNS TABLE (answer text, balance bigint) LANGUAGE plpgsql AS $$
    BEGIN
      PERFORM ledger_lock(w);
      INSERT INTO ledger_transfers (id, from_id, to_id, amount, kind, memo) VALUES
        (k, ledger_account('world:funding'), ledger_account(w || ':available'), n, 'grant', m)
        ON CONFLICT (id) DO NOTHING;
      answer := CASE
        WHEN FOUND THEN 'granted'
        WHEN EXISTS (SELECT FROM ledger_transfers t
          WHERE t.id = k AND t.kind = 'grant' AND t.wallet = w AND t.amount = n) THEN 'replayed'
        ELSE 'reused' END;
      balance := ledger_available(w);
      RETURN NEXT;
    END $$`.execute(db)
}

async function hold(db: Kysely<never>): Promise<void> {
  // The wallet is locked outside the inner block: undoing that block must not give the lock away.
  await sql`
    CREATE FUNCTION ledger_hold(h text, w text, n bigint, m jsonb)
      RETURNS TABLE (answer text, missing bigint) LANGUAGE plpgsql AS $$
    DECLARE broken text;
    BEGIN
      PERFORM ledger_lock(w);
      BEGIN
        INSERT INTO ledger_holds (id, wallet) VALUES (h, w) ON CONFLICT (id) DO NOTHING;
        IF NOT FOUND THEN
          answer := CASE WHEN EXISTS (SELECT FROM ledger_transfers t
            WHERE t.id = h || ':hold' AND t.wallet = w AND t.amount = n)
            THEN 'replayed' ELSE 'reused' END;
        ELSE
          INSERT INTO ledger_transfers (id, from_id, to_id, amount, kind, hold_id, memo) VALUES
            (h || ':hold', ledger_account(w || ':available'), ledger_account(w || ':held'), n,
              'hold', h, m);
          answer := 'held';
        END IF;
      EXCEPTION WHEN check_violation THEN
        GET STACKED DIAGNOSTICS broken = CONSTRAINT_NAME;
        IF broken <> 'no_overspend' THEN RAISE; END IF;
        answer := 'short';
        missing := n - ledger_available(w);
      END;
      RETURN NEXT;
    END $$`.execute(db)
}

async function extend(db: Kysely<never>): Promise<void> {
  await sql`
    CREATE FUNCTION ledger_extend(h text, step text, n bigint)
      RETURNS TABLE (answer text, missing bigint) LANGUAGE plpgsql AS $$
    DECLARE
      broken text;
      w text := (SELECT wallet FROM ledger_holds WHERE id = h);
      transfer ledger_transfers;
    BEGIN
      IF w IS NULL THEN RAISE EXCEPTION 'no hold %', h USING ERRCODE = 'KW003'; END IF;
      PERFORM ledger_lock(w);
      SELECT * INTO transfer FROM ledger_transfers WHERE id = h || ':extend:' || step;
      IF FOUND THEN
        answer := CASE WHEN transfer.amount = n THEN 'held' ELSE 'reused' END;
      ELSIF EXISTS (SELECT FROM ledger_hold_resolutions WHERE hold_id = h) THEN
        answer := 'resolved';
      ELSE
        BEGIN
          INSERT INTO ledger_transfers (id, from_id, to_id, amount, kind, hold_id, memo)
            SELECT h || ':extend:' || step, from_id, to_id, n, 'extend', h, memo
              FROM ledger_transfers WHERE id = h || ':hold';
          answer := 'held';
        EXCEPTION WHEN check_violation THEN
          GET STACKED DIAGNOSTICS broken = CONSTRAINT_NAME;
          IF broken <> 'no_overspend' THEN RAISE; END IF;
          answer := 'short';
          missing := n - ledger_available(w);
        END;
      END IF;
      RETURN NEXT;
    END $$`.execute(db)
}

async function resolve(db: Kysely<never>): Promise<void> {
  await sql`
    CREATE FUNCTION ledger_resolve(h text, price bigint, user_pays boolean, why text, m jsonb)
      RETURNS TABLE (answer text, resolution ledger_hold_resolutions) LANGUAGE plpgsql AS $$
    DECLARE
      w text := (SELECT wallet FROM ledger_holds WHERE id = h);
      whole bigint;
      paid bigint;
    BEGIN
      IF w IS NULL THEN RAISE EXCEPTION 'no hold %', h USING ERRCODE = 'KW003'; END IF;
      PERFORM ledger_lock(w);
      whole := (SELECT sum(amount) FROM ledger_transfers
        WHERE hold_id = h AND kind IN ('hold', 'extend'));
      paid := CASE WHEN user_pays THEN least(price, whole) ELSE 0 END;

      INSERT INTO ledger_hold_resolutions (hold_id, amount, cost, charged, released, lost, reason)
        VALUES (h, whole, price, paid, whole - paid, price - paid, why)
        ON CONFLICT (hold_id) DO NOTHING;
      answer := CASE WHEN FOUND THEN 'resolved' ELSE 'already' END;

      IF answer = 'resolved' THEN
        INSERT INTO ledger_transfers (id, from_id, to_id, amount, kind, hold_id, memo)
          SELECT h || ':charge', ledger_account(w || ':held'), ledger_account(w || ':spent'), paid,
            'charge', h, m WHERE paid > 0;
        INSERT INTO ledger_transfers (id, from_id, to_id, amount, kind, hold_id, memo)
          SELECT h || ':release', ledger_account(w || ':held'), ledger_account(w || ':available'),
            whole - paid, 'release', h, m WHERE whole > paid;
        INSERT INTO ledger_transfers (id, from_id, to_id, amount, kind, hold_id, memo)
          SELECT h || ':loss', ledger_account('world:platform_loss'),
            ledger_account('world:providers'), price - paid, 'loss', h, m WHERE price > paid;
      END IF;

      SELECT * INTO resolution FROM ledger_hold_resolutions WHERE hold_id = h;
      RETURN NEXT;
    END $$`.execute(db)
}
