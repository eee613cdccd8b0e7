import { spawn } from 'node:child_process'
import { appendFileSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { once } from 'node:events'
import { join } from 'node:path'
import t from 'tap'
import { createMutex } from '../../../src/workspaces/mutex.ts'
import { folder } from './kit.ts'

t.test('runs the operations of one process in order, and continues after a failure', async (t) => {
  const alone = createMutex(join(folder(t), 'lock'))
  const log: number[] = []
  const turns = [3, 2, 1, 0].map((n) =>
    alone(async () => {
      log.push(n)
      await new Promise((resolve) => setTimeout(resolve, n))
      log.push(n)
      if (n === 2) throw new Error('its own')
      return n
    })
  )
  const results = await Promise.allSettled(turns)
  t.same(log, [3, 3, 2, 2, 1, 1, 0, 0])
  t.same(
    results.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled', 'fulfilled']
  )
})

t.test(
  'serialises processes that share a folder, and ignores the lock of a killed one',
  async (t) => {
    const dir = folder(t)
    const module = join(import.meta.dirname, '../../../src/workspaces/mutex.ts')
    const program = join(dir, 'program.mjs')
    writeFileSync(
      program,
      `import { createMutex } from ${JSON.stringify(module)}
     import { appendFileSync } from 'node:fs'
     const [dir, name] = process.argv.slice(2)
     const alone = createMutex(dir + '/lock')
     for (let n = 0; n < 15; n++) await alone(async () => {
       appendFileSync(dir + '/log', '(')
       await new Promise((resolve) => setTimeout(resolve, 2))
       appendFileSync(dir + '/log', ')')
       if (name === 'dies' && n === 5) process.kill(process.pid, 'SIGKILL')
     })`
    )
    const children = ['dies', 'b', 'c'].map((name) =>
      spawn(process.execPath, [program, dir, name], { stdio: 'inherit' })
    )
    const ends = await Promise.all(children.map((child) => once(child, 'exit')))
    t.same(ends, [
      [null, 'SIGKILL'],
      [0, null],
      [0, null]
    ])
    t.equal(readFileSync(join(dir, 'log'), 'utf8'), '()'.repeat(6 + 15 + 15))
    // The killed process may have been the last one: the next process gets the lock.
    await createMutex(join(dir, 'lock'))(async () => {})
    t.same(
      readdirSync(dir).filter((name) => name.startsWith('lock')),
      []
    )
  }
)

t.test('respects a lock of another machine until it is 15 minutes old', async (t) => {
  const lock = join(folder(t), 'lock')
  writeFileSync(lock, '1 1 elsewhere')
  const alone = createMutex(lock)
  let had = false
  const waiting = alone(async () => {
    had = true
    appendFileSync(lock, '!')
  })
  await new Promise((resolve) => setTimeout(resolve, 50))
  t.notOk(had)
  utimesSync(lock, 1, 1)
  await waiting
  t.ok(had)
})
