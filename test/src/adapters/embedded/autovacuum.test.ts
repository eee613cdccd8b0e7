import { sql } from 'kysely'
import t from 'tap'
import { vacuumDueTables } from '../../../../src/adapters/embedded/autovacuum-store.ts'
import { openEmbeddedDatabase } from '../../../../src/adapters/embedded/database.ts'

t.test('tables that have changed much are looked after, and the others left alone', async (t) => {
  const db = await openEmbeddedDatabase(t.testdir())
  t.teardown(() => db.destroy())
  await vacuumDueTables(db)

  const insert = (from: number, to: number) =>
    sql`INSERT INTO users (id, name) SELECT 'usr_' || n, 'x' FROM generate_series(${from}::int, ${to}::int) AS n`.execute(
      db
    )
  await insert(1, 1000)
  t.same(await vacuumDueTables(db), ['public.users'])
  t.same(await vacuumDueTables(db), [], 'once')

  await insert(1001, 1100)
  t.same(await vacuumDueTables(db), [], 'a tenth is not worth it')

  await sql`DELETE FROM users WHERE id > 'usr_5'`.execute(db)
  t.same(await vacuumDueTables(db), ['public.users'])
  const { rows } = await sql<{ dead: string; estimate: number }>`
    SELECT n_dead_tup AS dead, reltuples::int AS estimate
    FROM pg_stat_user_tables JOIN pg_class ON pg_class.oid = relid WHERE pg_class.relname = 'users'`.execute(
    db
  )
  const { rows: counted } = await sql<{ n: number }>`SELECT count(*)::int AS n FROM users`.execute(
    db
  )
  t.same(
    rows,
    [{ dead: '0', estimate: counted[0]?.n }],
    'the dead are gone, and the planner knows how many live'
  )
})
