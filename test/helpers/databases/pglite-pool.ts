import type { PGlite } from '@electric-sql/pglite'
import { Kysely, PGliteDialect } from 'kysely'
import rootTest from 'tap'
import type { Db } from '#db'
import { createPglite } from '../../../src/adapters/embedded/database.ts'
import { inTime } from '../patience.ts'
import { loadTemplate } from './template.ts'

interface Closing {
  teardown(close: () => Promise<void>): void
}

const RESET_MS_MAX = 10_000

/** Instances that no test uses now; each is emptied when the next test borrows it. */
const idle: PGlite[] = []
const opened = new Set<PGlite>()
rootTest.teardown(() => Promise.all([...opened].map((pglite) => pglite.close())))

/**
 * An empty, migrated database for one test. The instance behind it is reused by the next test of the same process,
 * because opening one costs a second of CPU and emptying one costs a few milliseconds. Two tests never share one at
 * the same time, and after the end of its test the `Db` rejects every query, as a closed database does.
 */
export async function openTestDatabase(t: Closing): Promise<Db> {
  const pglite = await borrow()
  const db: Db = new Kysely({ dialect: new PGliteDialect({ pglite: lend(pglite) }) })
  t.teardown(async () => {
    await db.destroy()
    idle.push(pglite)
  })
  return db
}

async function borrow(): Promise<PGlite> {
  for (let pglite = idle.pop(); pglite; pglite = idle.pop()) {
    try {
      await inTime(empty(pglite), 'a database to be emptied', RESET_MS_MAX)
      return pglite
    } catch {
      // A test left a transaction open. This instance is not reused; it is closed at the end.
    }
  }
  const pglite = await createPglite({ dump: await loadTemplate() })
  opened.add(pglite)
  return pglite
}

/** The same instance, except that closing it ends the loan and not the instance. */
function lend(pglite: PGlite) {
  let closed = false
  return {
    get closed() {
      return closed || pglite.closed
    },
    ready: true,
    waitReady: pglite.waitReady,
    query: pglite.query.bind(pglite),
    transaction: pglite.transaction.bind(pglite),
    close: async () => {
      closed = true
    }
  }
}

/**
 * Leaves what the migrations leave: no rows but the ledger's house accounts, which no wallet owns, and sequences at
 * their start. Triggers are off meanwhile, because they rightly refuse to empty the ledger.
 */
async function empty(pglite: PGlite): Promise<void> {
  const { rows } = await pglite.query<{ names: string }>(`
    SELECT string_agg(format('%I', tablename), ', ') AS names FROM pg_tables
    WHERE schemaname = 'public' AND tablename NOT LIKE 'kysely_migration%'
      AND tablename <> 'ledger_accounts'`)
  await pglite.exec(`
    BEGIN;
    SET LOCAL session_replication_role = replica;
    TRUNCATE ${rows[0]?.names} RESTART IDENTITY;
    DELETE FROM ledger_accounts WHERE wallet IS NOT NULL;
    UPDATE ledger_accounts SET balance = 0;
    SELECT setval(pg_get_serial_sequence('ledger_accounts', 'id'), max(id)) FROM ledger_accounts;
    COMMIT`)
  await pglite.exec('DISCARD ALL')
}
