import { chmodSync, lstatSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { systemClock } from '#kernel/clock.ts'
import { silentLog } from '#kernel/log.ts'
import { openEmbedded } from '../../../../src/adapters/embedded/open.ts'
import { seedDataDir } from '../../../helpers/databases/template.ts'

const open = (dataDir: string) =>
  openEmbedded({ dataDir, queueWidth: 1, clock: systemClock, log: silentLog })

/** Every name below the folder whose owner is not the only one with rights. */
const openToOthers = (dir: string) =>
  ['.', ...readdirSync(dir, { recursive: true, encoding: 'utf8' })].filter(
    (name) => (lstatSync(join(dir, name)).mode & 0o077) !== 0
  )

async function closes(t: Test, dir: string) {
  await using _backbone = await open(dir)
  t.same(openToOthers(dir), [])
}

t.test('a new data folder can be read by its owner only, and so can its database', (t) =>
  closes(t, join(t.testdir(), 'deep/data'))
)

t.test('so can one of an earlier version', async (t) => {
  const dir = join(t.testdir(), 'data')
  mkdirSync(dir)
  await seedDataDir(dir)
  chmodSync(dir, 0o755)
  chmodSync(join(dir, 'db/PG_VERSION'), 0o666)
  await closes(t, dir)
})

t.test('refuses a folder with files of other programs, and leaves it as it is', async (t) => {
  const dir = join(t.testdir(), 'data')
  mkdirSync(dir)
  writeFileSync(join(dir, 'letter.txt'), 'x')
  chmodSync(dir, 0o777)
  await t.rejects(open(dir), { message: /^DATA_DIR .* holds files that are not of this server/ })
  t.equal(statSync(dir).mode & 0o777, 0o777)
  t.same(readdirSync(dir), ['letter.txt'])
})
