import { writeFileSync, existsSync, utimesSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { lockDataDir } from '../../../../src/adapters/embedded/data-lock.ts'

t.test('one owner at a time, and the next one after it', async (t) => {
  const dir = t.testdir()
  const first = await lockDataDir(dir)
  await t.rejects(lockDataDir(dir), new RegExp(`is in use by process ${process.pid}`))
  await first[Symbol.asyncDispose]()
  const second = await lockDataDir(dir)
  await second[Symbol.asyncDispose]()
  t.notOk(existsSync(join(dir, 'lock')))
})

t.test('of many that find a dead owner’s lock, one takes it over', async (t) => {
  const dir = t.testdir({ lock: `${hostname()} 999999999 1` })
  const asked = await Promise.allSettled(Array.from({ length: 20 }, () => lockDataDir(dir)))
  const taken = asked.filter(({ status }) => status === 'fulfilled')
  t.equal(taken.length, 1)
})

t.test('another machine’s lock is believed while it is touched', async (t) => {
  const dir = t.testdir()
  const path = join(dir, 'lock')
  writeFileSync(path, '1 1 another-machine')
  await t.rejects(lockDataDir(dir), /in use/)
  const long = new Date(Date.now() - 60_000)
  utimesSync(path, long, long)
  const lock = await lockDataDir(dir)
  await lock[Symbol.asyncDispose]()
})
