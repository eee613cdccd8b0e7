import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import t, { type Test } from 'tap'
import { migrate, type Db } from '#db'
import {
  openDistributedDatabase,
  openPostgres
} from '../../../src/adapters/distributed/database.ts'
import { openEmbeddedDatabase } from '../../../src/adapters/embedded/database.ts'
import { onPostgres } from '../../helpers/database.ts'

/** The contract of the values that every database returns. */
function databaseContract(name: string, open: (t: Test) => Promise<Db>): void {
  t.test(`${name}: all migrations, once`, async (t) => {
    const db = await open(t)
    const before = await objectsOf(db)
    t.ok(before.length > 20, `${before.length} tables, views and functions`)
    await migrate(db)
    t.same(await objectsOf(db), before)
  })

  t.test(`${name}: bigints and sums are text, times are dates, JSON is read`, async (t) => {
    const db = await open(t)
    const { rows } = await sql`
      SELECT 9007199254740993::bigint AS big, sum(n) AS sum, count(*) AS count,
        '2026-01-02T03:04:05.678Z'::timestamptz AS at, '{"a":[1]}'::jsonb AS jsonb,
        '{"b":null}'::json AS json, true AS yes, 7::integer AS seven, NULL::text AS nothing
      FROM (VALUES (9007199254740993::bigint), (2)) AS numbers (n)`.execute(db)
    t.same(rows, [
      {
        big: '9007199254740993',
        sum: '9007199254740995',
        count: '2',
        at: new Date('2026-01-02T03:04:05.678Z'),
        jsonb: { a: [1] },
        json: { b: null },
        yes: true,
        seven: 7,
        nothing: null
      }
    ])
  })

  t.test(`${name}: what is given arrives as it was`, async (t) => {
    const db = await open(t)
    const texts = ['it\'s "quoted", \\, {x} and 🌱', '', 'NULL']
    const { rows } = await sql`
      SELECT ${texts}::text[] AS texts, ${String(2n ** 62n)}::bigint AS big,
        ${JSON.stringify({ texts })}::jsonb AS json`.execute(db)
    t.same(rows, [{ texts, big: '4611686018427387904', json: { texts } }])
  })
}

// The first test creates and migrates the database; the others open it again.
const dir = await mkdtemp(join(tmpdir(), 'kilowatt-databases-'))
t.teardown(() => rm(dir, { recursive: true, force: true }))
// A crash in the middle of the first start left this.
await mkdir(join(dir, 'db.new'))
await writeFile(join(dir, 'db.new', 'PG_VERSION'), 'half')
databaseContract('PGlite', async (t) => {
  const db = await openEmbeddedDatabase(join(dir, 'db'))
  t.teardown(() => db.destroy())
  return db
})

await onPostgres('databases on PostgreSQL', (open) => {
  databaseContract('PostgreSQL', async (t) => {
    const db = await openDistributedDatabase({ url: await open.url(t, { upToDate: false }) })
    t.teardown(() => db.destroy())
    return db
  })

  t.test('PostgreSQL: four servers start simultaneously on an empty database', async (t) => {
    const url = await open.url(t, { upToDate: false })
    const opened = await Promise.all([1, 2, 3, 4].map(() => openDistributedDatabase({ url })))
    const [first] = opened
    const { rows } = await sql`SELECT name FROM kysely_migration`.execute(first!)
    t.equal(rows.length, new Set(rows.map((row) => JSON.stringify(row))).size)
    t.ok(rows.length > 1)
    for (const db of opened) await db.destroy()
  })

  t.test('PostgreSQL: reports and replaces a connection that the server ends', async (t) => {
    const errors: string[] = []
    const db = openPostgres({
      url: await open.url(t),
      connectionsMax: 1,
      onIdleError: ({ message }) => void errors.push(message)
    })
    t.teardown(() => db.destroy())
    const { rows } = await sql<{ pid: number }>`SELECT pg_backend_pid() AS pid`.execute(db)
    const other = await open(t, 1)
    // Another database of the same server sees this one's connection too.
    await sql`SELECT pg_terminate_backend(${rows[0]!.pid})`.execute(other)
    while (errors.length === 0) await new Promise((resolve) => setTimeout(resolve, 10))
    const again = await sql<{ pid: number }>`SELECT pg_backend_pid() AS pid`.execute(db)
    t.not(again.rows[0]!.pid, rows[0]!.pid)
  })

  t.test('PostgreSQL: a server that is not there', async (t) => {
    const url = 'postgresql://user@localhost/none?host=/nonexistent'
    await t.rejects(openDistributedDatabase({ url }), { code: 'ENOENT' })
  })
})

async function objectsOf(db: Db): Promise<unknown[]> {
  const { rows } = await sql`
    SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace
    UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    ORDER BY name`.execute(db)
  return rows
}
