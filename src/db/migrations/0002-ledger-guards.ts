import { sql, type Kysely } from 'kysely'

/** Triggers that keep the books honest, whoever writes into them and with whatever statement. */
export async function ledgerGuards(db: Kysely<never>): Promise<void> {
  await appendOnly(db)
  await balancesMoveByTransfer(db)
  await transfersTakeTheirRoute(db)
  await resolutionsCoverTheHold(db)
}

async function appendOnly(db: Kysely<never>): Promise<void> {
  await sql`
    CREATE FUNCTION ledger_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      RAISE EXCEPTION 'the ledger is append-only: % on %', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'KW001';
    END $$`.execute(db)

  for (const table of ['ledger_transfers', 'ledger_holds', 'ledger_hold_resolutions']) {
    await sql`
      CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON ${sql.table(table)}
        FOR EACH ROW EXECUTE FUNCTION ledger_refuse()`.execute(db)
    await sql`
      CREATE TRIGGER never_emptied BEFORE TRUNCATE ON ${sql.table(table)}
        FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse()`.execute(db)
  }
  await sql`
    CREATE TRIGGER never_deleted BEFORE DELETE ON ledger_accounts
      FOR EACH ROW EXECUTE FUNCTION ledger_refuse()`.execute(db)
  await sql`
    CREATE TRIGGER never_emptied BEFORE TRUNCATE ON ledger_accounts
      FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse()`.execute(db)
}

async function balancesMoveByTransfer(db: Kysely<never>): Promise<void> {
  // A statement of ours fires this at depth 1; only ledger_apply, itself a trigger, gets here at depth 2.
  await sql`
    CREATE FUNCTION ledger_account_guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      IF TG_OP = 'INSERT' AND NEW.balance = 0 THEN RETURN NEW; END IF;
      IF TG_OP = 'UPDATE' AND pg_trigger_depth() > 1
        AND (NEW.id, NEW.code, NEW.wallet, NEW.floor)
          IS NOT DISTINCT FROM (OLD.id, OLD.code, OLD.wallet, OLD.floor)
        THEN RETURN NEW; END IF;
      RAISE EXCEPTION 'a balance moves only by a transfer: % of %', TG_OP, NEW.code
        USING ERRCODE = 'KW001';
    END $$`.execute(db)
  await sql`
    CREATE TRIGGER only_by_transfer BEFORE INSERT OR UPDATE ON ledger_accounts
      FOR EACH ROW EXECUTE FUNCTION ledger_account_guard()`.execute(db)

  await sql`
    CREATE FUNCTION ledger_apply() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      UPDATE ledger_accounts SET balance = balance - NEW.amount WHERE id = NEW.from_id;
      UPDATE ledger_accounts SET balance = balance + NEW.amount WHERE id = NEW.to_id;
      RETURN NULL;
    END $$`.execute(db)
  await sql`
    CREATE TRIGGER apply_transfer AFTER INSERT ON ledger_transfers
      FOR EACH ROW EXECUTE FUNCTION ledger_apply()`.execute(db)
}

/** Locks, then checks where a transfer goes and that its hold allows it, then notes the balance after it. */
async function transfersTakeTheirRoute(db: Kysely<never>): Promise<void> {
  // The lock comes before the row: a foreign key's KEY SHARE taken first would deadlock against it.
  // A wallet before the world, each sorted: the one order in which anybody ever locks accounts.
  await sql`
    CREATE FUNCTION ledger_route() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
      route text;
      allowed text;
      due bigint;
      resolution ledger_hold_resolutions;
    BEGIN
      SELECT coalesce(f.wallet, t.wallet),
          CASE WHEN f.wallet <> t.wallet THEN 'another wallet' ELSE
            coalesce(split_part(f.code, f.wallet || ':', 2), f.code) || ' to ' ||
            coalesce(split_part(t.code, t.wallet || ':', 2), t.code) END
        INTO NEW.wallet, route
        FROM ledger_accounts f, ledger_accounts t WHERE f.id = NEW.from_id AND t.id = NEW.to_id;

      PERFORM 1 FROM ledger_accounts
        WHERE id IN (NEW.from_id, NEW.to_id) OR wallet = NEW.wallet
        ORDER BY wallet IS NULL, id FOR NO KEY UPDATE;

      allowed := CASE NEW.kind
        WHEN 'grant' THEN 'world:funding to available'
        WHEN 'hold' THEN 'available to held'
        WHEN 'extend' THEN 'available to held'
        WHEN 'charge' THEN 'held to spent'
        WHEN 'release' THEN 'held to available'
        WHEN 'loss' THEN 'world:platform_loss to world:providers' END;
      IF route IS DISTINCT FROM allowed THEN
        RAISE EXCEPTION '% does not go from %', NEW.kind, route USING ERRCODE = 'KW002';
      END IF;

      IF NEW.hold_id IS NOT NULL THEN
        IF NEW.wallet <> (SELECT wallet FROM ledger_holds WHERE id = NEW.hold_id) THEN
          RAISE EXCEPTION 'hold % is of another wallet', NEW.hold_id USING ERRCODE = 'KW002';
        END IF;
        -- Before the resolution a hold only grows; after it exactly the resolution's parts move.
        SELECT * INTO resolution FROM ledger_hold_resolutions WHERE hold_id = NEW.hold_id;
        due := CASE NEW.kind
          WHEN 'charge' THEN resolution.charged
          WHEN 'release' THEN resolution.released
          WHEN 'loss' THEN resolution.lost
          ELSE CASE WHEN resolution.hold_id IS NULL THEN NEW.amount END END;
        IF NEW.amount IS DISTINCT FROM due THEN
          RAISE EXCEPTION 'hold % does not allow this %', NEW.hold_id, NEW.kind
            USING ERRCODE = 'KW002';
        END IF;
      END IF;

      SELECT balance + CASE
          WHEN NEW.from_id = id THEN -NEW.amount WHEN NEW.to_id = id THEN NEW.amount ELSE 0 END
        INTO NEW.balance_after FROM ledger_accounts WHERE code = NEW.wallet || ':available';
      RETURN NEW;
    END $$`.execute(db)
  await sql`
    CREATE TRIGGER take_route BEFORE INSERT ON ledger_transfers
      FOR EACH ROW EXECUTE FUNCTION ledger_route()`.execute(db)
}

async function resolutionsCoverTheHold(db: Kysely<never>): Promise<void> {
  await sql`
    CREATE FUNCTION ledger_cover() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      PERFORM 1 FROM ledger_accounts
        WHERE wallet = (SELECT wallet FROM ledger_holds WHERE id = NEW.hold_id)
        ORDER BY id FOR NO KEY UPDATE;
      IF NEW.amount IS DISTINCT FROM (SELECT sum(amount) FROM ledger_transfers
          WHERE hold_id = NEW.hold_id AND kind IN ('hold', 'extend'))
        THEN RAISE EXCEPTION 'hold % is not of %', NEW.hold_id, NEW.amount USING ERRCODE = 'KW002';
      END IF;
      RETURN NEW;
    END $$`.execute(db)
  await sql`
    CREATE TRIGGER cover_hold BEFORE INSERT ON ledger_hold_resolutions
      FOR EACH ROW EXECUTE FUNCTION ledger_cover()`.execute(db)
}
