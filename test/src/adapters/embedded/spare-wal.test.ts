import { randomBytes } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { sql } from 'kysely'
import t from 'tap'
import { silentLog } from '#kernel/log.ts'
import { isDiskFull } from '#kernel/machine/disk-space.ts'
import { openEmbeddedDatabase } from '../../../../src/adapters/embedded/database.ts'
import { keepSpareWal, nextSegment } from '../../../../src/adapters/embedded/spare-wal.ts'
import { createWriteGate } from '../../../../src/adapters/embedded/write-gate.ts'
import { openTestDatabase } from '../../../helpers/database.ts'
import { seedDataDir } from '../../../helpers/databases/template.ts'
import { until } from '../../../helpers/patience.ts'

t.test('names the segment after each', (t) => {
  t.equal(nextSegment('000000010000000000000001'), '000000010000000000000002')
  t.equal(nextSegment('0000000100000000000000FF'), '000000010000000100000000')
  t.equal(nextSegment('00000002000000AB000000FE'), '00000002000000AB000000FF')
  t.end()
})

t.test('has the next segment of the log ready, and the database continues in it', async (t) => {
  const dir = t.testdir({})
  await seedDataDir(dir)
  const folder = join(dir, 'db')
  const rows = sql<{ count: string }>`SELECT count(*) FROM texts`
  {
    const db = await openEmbeddedDatabase(folder)
    await using _spare = keepSpareWal(db, folder, silentLog)
    const segments = async () =>
      (await readdir(join(folder, 'pg_wal'))).filter((name) => /^[0-9A-F]{24}$/.test(name))
    const first = await segments()
    await until('the spare segment', async () => (await segments()).length > first.length)
    await sql`CREATE TABLE texts (t text)`.execute(db)
    for (let n = 0; n < 50; n += 1) {
      const text = randomBytes(300_000).toString('base64')
      await sql`INSERT INTO texts VALUES (${text})`.execute(db)
    }
    await until('the one after it', async () => (await segments()).length > first.length + 1)
    await db.destroy()
  }
  const again = await openEmbeddedDatabase(folder)
  t.match((await rows.execute(again)).rows, [{ count: '50' }])
  await again.destroy()
})

t.test('only reads while writing is not possible', async (t) => {
  let isClosed = true
  const db = (await openTestDatabase(t)).withPlugin(createWriteGate(() => isClosed))
  const insert = () =>
    db
      .insertInto('users')
      .values({ id: 'usr_x' as never, name: null })
      .execute()
  const error = await insert().then(
    () => undefined,
    (error: unknown) => error
  )
  t.ok(isDiskFull(error))
  t.same(await db.selectFrom('users').select('id').execute(), [])
  isClosed = false
  await insert()
  t.equal((await db.selectFrom('users').select('id').execute()).length, 1)
})
