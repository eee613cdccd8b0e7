import { sql, type Kysely } from 'kysely'

/** One row whose every column is zero, always: anything else is a bug, or somebody else's hand in the books. */
export async function ledgerAudit(db: Kysely<never>): Promise<void> {
  await sql`
    CREATE VIEW ledger_audit AS
    WITH moved AS (
      SELECT account, sum(amount) AS amount FROM (
        SELECT to_id AS account, amount FROM ledger_transfers
        UNION ALL SELECT from_id, -amount FROM ledger_transfers) each_side
      GROUP BY account
    ), of_hold AS (
      SELECT h.id, h.wallet,
        coalesce(sum(t.amount) FILTER (WHERE t.kind IN ('hold', 'extend')), 0) AS amount,
        coalesce(sum(t.amount) FILTER (WHERE t.kind = 'charge'), 0) AS charged,
        coalesce(sum(t.amount) FILTER (WHERE t.kind = 'release'), 0) AS released,
        coalesce(sum(t.amount) FILTER (WHERE t.kind = 'loss'), 0) AS lost
      FROM ledger_holds h LEFT JOIN ledger_transfers t ON t.hold_id = h.id
      GROUP BY h.id, h.wallet
    ), of_wallet AS (
      SELECT wallet, sum(amount - charged - released) AS held, sum(charged) AS spent
      FROM of_hold GROUP BY wallet
    ), last_line AS (
      SELECT DISTINCT ON (wallet) wallet, balance_after FROM ledger_transfers
      WHERE wallet IS NOT NULL ORDER BY wallet, seq DESC
    )
    SELECT
      (SELECT coalesce(sum(balance), 0) FROM ledger_accounts) AS total,
      (SELECT count(*) FROM ledger_accounts a LEFT JOIN moved m ON m.account = a.id
        WHERE a.balance <> coalesce(m.amount, 0)) AS drifted_accounts,
      (SELECT count(*) FROM ledger_accounts WHERE balance < floor) AS overspent,
      (SELECT count(*) FROM of_hold WHERE amount = 0) AS empty_holds,
      (SELECT count(*) FROM of_hold o LEFT JOIN ledger_hold_resolutions r ON r.hold_id = o.id
        WHERE (o.charged, o.released, o.lost)
            <> (coalesce(r.charged, 0), coalesce(r.released, 0), coalesce(r.lost, 0))
          OR r.charged + r.released <> o.amount) AS bad_resolutions,
      (SELECT count(*) FROM ledger_accounts a LEFT JOIN of_wallet o ON o.wallet = a.wallet
        WHERE a.code = a.wallet || ':held' AND a.balance <> coalesce(o.held, 0)) AS held_mismatch,
      (SELECT count(*) FROM ledger_accounts a LEFT JOIN of_wallet o ON o.wallet = a.wallet
        WHERE a.code = a.wallet || ':spent' AND a.balance <> coalesce(o.spent, 0)) AS spent_mismatch,
      (SELECT sum(balance) FROM ledger_accounts WHERE code = 'world:platform_loss')
        + (SELECT coalesce(sum(lost), 0) FROM ledger_hold_resolutions) AS loss_mismatch,
      (SELECT count(*) FROM ledger_accounts a JOIN last_line l ON l.wallet = a.wallet
        WHERE a.code = a.wallet || ':available' AND a.balance <> l.balance_after)
        AS statement_mismatch`.execute(db)
}
