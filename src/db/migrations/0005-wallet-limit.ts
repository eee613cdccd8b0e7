import { sql, type Kysely } from 'kysely'

/** In microcredits; see the kernel's constant of the same name. */
const WALLET_MAX = sql.lit(8_000_000_000_000_000)

/**
 * A wallet that is given more than a JSON number can say is refused it. What was held and spent counts as well:
 * a settlement, which must never fail, then cannot lead above it.
 */
export async function up(db: Kysely<never>): Promise<void> {
  await sql`
    CREATE OR REPLACE FUNCTION ledger_grant(k text, w text, n bigint, m jsonb)
      RETURNS TABLE (answer text, balance bigint) LANGUAGE plpgsql AS $$
    BEGIN
      PERFORM ledger_lock(w);
      IF n > ${WALLET_MAX} - (SELECT sum(a.balance) FROM ledger_accounts a WHERE a.wallet = w)
        AND NOT EXISTS (SELECT FROM ledger_transfers t WHERE t.id = k) THEN
        answer := 'full';
      ELSE
        INSERT INTO ledger_transfers (id, from_id, to_id, amount, kind, memo) VALUES
          (k, ledger_account('world:funding'), ledger_account(w || ':available'), n, 'grant', m)
          ON CONFLICT (id) DO NOTHING;
        answer := CASE
          WHEN FOUND THEN 'granted'
          WHEN EXISTS (SELECT FROM ledger_transfers t
            WHERE t.id = k AND t.kind = 'grant' AND t.wallet = w AND t.amount = n) THEN 'replayed'
          ELSE 'reused' END;
      END IF;
      balance := ledger_available(w);
      RETURN NEXT;
    END $$`.execute(db)
}
