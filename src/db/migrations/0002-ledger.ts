import { sql, type Kysely } from 'kysely'
import { ledgerAudit } from './0002-ledger-audit.ts'
import { ledgerFunctions } from './0002-ledger-functions.ts'
import { ledgerGuards } from './0002-ledger-guards.ts'

/** Credits by double entry: a balance moves only by inserting a transfer, and nothing is ever rewritten. */
export async function up(db: Kysely<never>): Promise<void> {
  await ledgerTables(db)
  await ledgerGuards(db)
  await ledgerFunctions(db)
  await ledgerAudit(db)
}

async function ledgerTables(db: Kysely<never>): Promise<void> {
  await sql`
    CREATE TABLE ledger_accounts (
      id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      code text NOT NULL UNIQUE,
      wallet text,
      balance bigint NOT NULL DEFAULT 0,
      floor bigint,
      CONSTRAINT no_overspend CHECK (floor IS NULL OR balance >= floor),
      CONSTRAINT only_the_world_owes CHECK (coalesce(floor = 0, wallet IS NULL)),
      CONSTRAINT code_says_whose CHECK (code LIKE coalesce(wallet, 'world') || ':%')
    )`.execute(db)
  await sql`
    CREATE INDEX ledger_accounts_of_wallet ON ledger_accounts (wallet, id)
      WHERE wallet IS NOT NULL`.execute(db)

  await sql`
    CREATE TABLE ledger_holds (
      id text PRIMARY KEY,
      wallet text NOT NULL,
      created_at timestamptz NOT NULL DEFAULT now()
    )`.execute(db)

  // The primary key is the hold: settle, cancel and recovery race for one row, and one of them wins.
  await sql`
    CREATE TABLE ledger_hold_resolutions (
      hold_id text PRIMARY KEY REFERENCES ledger_holds,
      amount bigint NOT NULL CHECK (amount > 0),
      cost bigint NOT NULL CHECK (cost >= 0),
      charged bigint NOT NULL CHECK (charged >= 0),
      released bigint NOT NULL CHECK (released >= 0),
      lost bigint NOT NULL CHECK (lost >= 0),
      overrun bigint NOT NULL GENERATED ALWAYS AS (greatest(cost - amount, 0)) STORED,
      reason text NOT NULL,
      created_at timestamptz NOT NULL DEFAULT now(),
      CONSTRAINT hold_is_shared_out CHECK (charged + released = amount),
      CONSTRAINT cost_is_borne CHECK (charged + lost = cost)
    )`.execute(db)

  await sql`
    CREATE TABLE ledger_transfers (
      id text PRIMARY KEY,
      seq bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
      from_id bigint NOT NULL REFERENCES ledger_accounts,
      to_id bigint NOT NULL REFERENCES ledger_accounts,
      amount bigint NOT NULL CHECK (amount > 0),
      kind text NOT NULL CHECK (kind IN ('grant', 'hold', 'extend', 'charge', 'release', 'loss')),
      hold_id text REFERENCES ledger_holds,
      wallet text,
      balance_after bigint,
      memo jsonb NOT NULL,
      created_at timestamptz NOT NULL DEFAULT now(),
      CHECK (from_id <> to_id),
      CHECK ((kind = 'grant') = (hold_id IS NULL)),
      CHECK ((wallet IS NULL) = (kind = 'loss')),
      CHECK ((wallet IS NULL) = (balance_after IS NULL))
    )`.execute(db)
  // A hold grows by as many extensions as it likes; everything else happens to it at most once.
  await sql`
    CREATE UNIQUE INDEX one_of_each_per_hold ON ledger_transfers (hold_id, kind)
      WHERE kind <> 'extend'`.execute(db)
  await sql`CREATE INDEX ledger_transfers_of_hold ON ledger_transfers (hold_id)`.execute(db)
  await sql`CREATE INDEX ledger_statement ON ledger_transfers (wallet, seq DESC)`.execute(db)

  await sql`
    INSERT INTO ledger_accounts (code, floor)
      VALUES ('world:funding', NULL), ('world:platform_loss', NULL), ('world:providers', 0)`.execute(
    db
  )
}
