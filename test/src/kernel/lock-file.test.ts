import { linkSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { clearStaleLock, takeLockFile } from '#kernel/lock-file.ts'

const isOfTheDead = (path: string) => readFileSync(path, 'utf8') === 'dead'

t.test('a lock is taken once, with its owner in it, and leaves no draft', async (t) => {
  const dir = t.testdir()
  const path = join(dir, 'lock')
  t.equal(takeLockFile(path, 'first'), true)
  t.equal(takeLockFile(path, 'second'), false)
  t.equal(readFileSync(path, 'utf8'), 'first')
  t.same(readdirSync(dir), ['lock'])
  t.throws(() => takeLockFile(join(dir, 'nowhere/lock'), 'x'), { code: 'ENOENT' })
})

t.test('a stale lock is cleared; one that was taken meanwhile is left', async (t) => {
  const dir = t.testdir({ lock: 'dead' })
  const path = join(dir, 'lock')
  clearStaleLock(path, isOfTheDead)
  t.same(readdirSync(dir), [])

  // Somebody found it stale; before it comes to clear it, another has done so and taken it.
  takeLockFile(path, 'alive')
  clearStaleLock(path, isOfTheDead)
  t.equal(readFileSync(path, 'utf8'), 'alive')
  t.same(readdirSync(dir), ['lock'])
})

t.test('of two one clears, and what it left when it died is no hindrance for long', async (t) => {
  const dir = t.testdir({ lock: 'dead' })
  const path = join(dir, 'lock')
  linkSync(path, `${path}.stale`)
  clearStaleLock(path, isOfTheDead)
  t.same(readdirSync(dir), ['lock', 'lock.stale'], 'somebody else is at it')

  const later = Date.now() + 11_000
  clearStaleLock(path, isOfTheDead, later)
  t.same(readdirSync(dir), ['lock'], 'nobody is at it any more')
  clearStaleLock(path, isOfTheDead, later)
  t.same(readdirSync(dir), [])
  rmSync(path, { force: true })
  clearStaleLock(path, isOfTheDead)
  t.same(readdirSync(dir), [], 'nothing to clear')
})
