import { sql, type Kysely } from 'kysely'

/** In microcredits; see the kernel's constant of the same name. */
const WALLET_MAX = sql.lit(8_000_000_000_000_000)

/**
 * A wallet that is given more than a JSON number can say is refused it. What was held and spent counts as well:
 * a settlement, which must never fail, then cannot lead above it.
 */
export async function up(db: Kysely<never>): Promise<void> {
  await sql`
    ALTER FUNCTION ledger_grant(text, text, bigint, jsonb) RENAME TO ledger_grant_unlimited
  `.execute(db)
  // What was granted before is asked for again without being too much.
  await sql`
    CREATE FUNCTION ledger_grant(k text, w text, n bigint, m jsonb)
      RETURNS TABLE (answer text, balance bigint) LANGUAGE plpgsql AS $$
    BEGIN
      PERFORM ledger_lock(w);
      IF n > ${WALLET_MAX} - (SELECT sum(a.balance) FROM ledger_accounts a WHERE a.wallet = w)
        AND NOT EXISTS (SELECT FROM ledger_transfers t WHERE t.id = k) THEN
        RETURN QUERY SELECT 'full', ledger_available(w);
      ELSE
        RETURN QUERY SELECT * FROM ledger_grant_unlimited(k, w, n, m);
      END IF;
    END $$`.execute(db)
}
