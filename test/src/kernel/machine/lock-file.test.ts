import { linkSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { createLockFile } from '#kernel/machine/lock-file.ts'
import { birthOf } from '#kernel/machine/process-birth.ts'

const STALE_MS = 60_000
const OWN = `${hostname()} ${process.pid} ${birthOf(process.pid)}`
const DEAD = `${hostname()} 999999999 1`

t.test('a lock is taken once, names its owner, and leaves no draft', async (t) => {
  const dir = t.testdir()
  const path = join(dir, 'lock')
  const lock = createLockFile(path, STALE_MS)
  t.equal(lock.holder(), undefined)
  t.equal(lock.take(), true)
  t.equal(createLockFile(path, STALE_MS).take(), false)
  t.equal(readFileSync(path, 'utf8'), OWN)
  t.same(lock.holder(), { pid: process.pid, isStale: false })
  t.same(readdirSync(dir), ['lock'])
  lock.release()
  t.same(readdirSync(dir), [])
  t.throws(() => createLockFile(join(dir, 'missing/lock'), STALE_MS).take(), { code: 'ENOENT' })
})

t.test('judges by the process on this host, and by the age of the file on others', async (t) => {
  const path = join(t.testdir(), 'lock')
  const lock = createLockFile(path, STALE_MS)
  for (const [title, owner, ageMs, isStale] of [
    ['a live process of this host', OWN, 2 * STALE_MS, false],
    ['a dead process of this host', DEAD, 0, true],
    ['a reused pid', `${hostname()} ${process.pid} 1`, 0, true],
    ['a fresh lock of another host', '1 1 elsewhere', 0, false],
    ['an old lock of another host', '1 1 elsewhere', 2 * STALE_MS, true]
  ] as const) {
    writeFileSync(path, owner)
    const touched = new Date(Date.now() - ageMs)
    utimesSync(path, touched, touched)
    t.equal(lock.holder()?.isStale, isStale, title)
  }
})

t.test('clears a stale lock, and keeps one that was taken in the meantime', async (t) => {
  const dir = t.testdir({ lock: DEAD })
  const lock = createLockFile(join(dir, 'lock'), STALE_MS)
  lock.clearIfStale()
  t.same(readdirSync(dir), [])

  // A process found the lock stale; before it clears it, another process has done so and taken it.
  lock.take()
  lock.clearIfStale()
  t.equal(readFileSync(join(dir, 'lock'), 'utf8'), OWN)
  t.same(readdirSync(dir), ['lock'])
})

t.test('one process clears at a time, and the claim of a dead one expires', async (t) => {
  const dir = t.testdir({ lock: DEAD })
  const path = join(dir, 'lock')
  const lock = createLockFile(path, STALE_MS)
  linkSync(path, `${path}.stale`)
  lock.clearIfStale()
  t.same(readdirSync(dir), ['lock', 'lock.stale'], 'another process holds the claim')

  const later = Date.now() + 11_000
  lock.clearIfStale(later)
  t.same(readdirSync(dir), ['lock'], 'the claim has expired')
  lock.clearIfStale(later)
  t.same(readdirSync(dir), [])
  rmSync(path, { force: true })
  lock.clearIfStale()
  t.same(readdirSync(dir), [], 'nothing to clear')
})
