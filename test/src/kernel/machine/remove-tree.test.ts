import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { systemClock as clock } from '#kernel/clock.ts'
import { createRemovals, removeFolder } from '#kernel/machine/removals.ts'
import { removeTree } from '#kernel/machine/remove-tree.ts'
import { exchange, hasPerl } from '../../../helpers/races/exchange.ts'

const isRoot = process.getuid?.() === 0

/** Runs the rest of the test as a user without root's rights, where they would hide the problem. */
const asPlainUser = (script: string, ...args: string[]) => {
  const command = ['node', '--input-type=module', '-e', script, ...args]
  const prefix = isRoot ? ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--'] : []
  const [program = '', ...rest] = [...prefix, ...command]
  return execFileSync(program, rest, { encoding: 'utf8', env: process.env })
}

t.test('removes whatever an agent can leave', async (t) => {
  const dir = t.testdir({ outside: { 'keep.txt': 'keep' } })
  const tree = join(dir, 'tree')
  mkdirSync(join(tree, 'node_modules/a/b'), { recursive: true })
  for (let at = 0; at < 300; at += 1) writeFileSync(join(tree, 'node_modules/a/b', `f${at}`), '')
  symlinkSync(join(dir, 'outside'), join(tree, 'link-to-folder'))
  symlinkSync(join(dir, 'outside/keep.txt'), join(tree, 'node_modules/link-to-file'))
  linkSync(join(dir, 'outside/keep.txt'), join(tree, 'hard-link'))
  execFileSync('mkfifo', [join(tree, 'pipe')])
  writeFileSync(Buffer.concat([Buffer.from(`${tree}/n`), Buffer.from([0xe9, 0xff])]), '')
  mkdirSync(Buffer.concat([Buffer.from(`${tree}/d`), Buffer.from([0xe9])]))
  execFileSync(
    'bash',
    [
      '-c',
      `name=$(printf 'x%.0s' $(seq 200)); for i in $(seq 60); do mkdir $name && cd -P $name; done; touch end`
    ],
    { cwd: tree }
  )
  t.same(await removeTree(tree), { left: 0 })
  t.notOk(existsSync(tree))
  t.equal(readFileSync(join(dir, 'outside/keep.txt'), 'utf8'), 'keep')
  t.same(await removeTree(tree), { left: 0 }, 'what is gone is removed')
})

t.test('opens folders that are closed, without rights of root', async (t) => {
  const dir = t.testdir({})
  chmodSync(dir, 0o777)
  const module = import.meta.resolve('#kernel/machine/remove-tree.ts')
  const script = `
    import { mkdirSync, writeFileSync, chmodSync, existsSync } from 'node:fs'
    const { removeTree } = await import(process.argv[1])
    const tree = process.argv[2]
    mkdirSync(tree + '/go/pkg/mod/x', { recursive: true })
    writeFileSync(tree + '/go/pkg/mod/x/go.mod', '')
    mkdirSync(tree + '/secret')
    writeFileSync(tree + '/secret/f', '')
    for (const path of ['/go/pkg/mod/x', '/go/pkg/mod', '/go', '']) chmodSync(tree + path, 0o555)
    chmodSync(tree + '/secret', 0)
    console.log(JSON.stringify([await removeTree(tree), existsSync(tree)]))`
  const run = () => asPlainUser(script, module, join(dir, 'tree'))
  t.same(JSON.parse(run()), [{ left: 0 }, false])
})

t.test(
  'never follows a folder that becomes a link meanwhile',
  { skip: !hasPerl && 'perl is not installed' },
  async (t) => {
    const dir = t.testdir({ outside: {} })
    const outside = join(dir, 'outside')
    let removed = 0
    for (let round = 0; round < 40; round += 1) {
      for (let at = 0; at < 20; at += 1) writeFileSync(join(outside, `keep${at}`), '')
      const tree = join(dir, `tree${round}`)
      mkdirSync(join(tree, 'a/b'), { recursive: true })
      for (let at = 0; at < 50; at += 1) writeFileSync(join(tree, 'a/b', `f${at}`), '')
      symlinkSync(outside, join(tree, 'link'))
      await using _race = await exchange(join(tree, 'a'), join(tree, 'link'))
      const { left } = await removeTree(tree)
      if (left === 0) removed += 1
      t.equal(readdirSync(outside).length, 20)
    }
    t.ok(removed > 0)
  }
)

t.test('sets a folder aside, and a sweep removes what was left', async (t) => {
  const dir = t.testdir({ project: { f: 'x' }, '.removed-by-a-crash': { a: { b: 'c' } } })
  const lines: object[] = []
  const log = { warn: (facts: object) => void lines.push(facts) }
  await removeFolder(join(dir, 'project'), log)
  await removeFolder(join(dir, 'project'), log)
  t.same(readdirSync(dir), ['.removed-by-a-crash'])

  await using removals = createRemovals([dir, join(dir, 'none')], { clock, log })
  t.equal(await removals.sweep(), 0)
  t.same(readdirSync(dir), [])
  t.same(lines, [])
})

t.test(
  'counts what cannot be removed, and logs it once a day',
  { skip: !isRoot && 'needs root' },
  async (t) => {
    const dir = t.testdir({ '.removed-1': { kept: { inside: 'x' }, gone: 'y' } })
    chmodSync(dir, 0o777)
    chmodSync(join(dir, '.removed-1'), 0o777)
    const script = `
    const { createRemovals } = await import(process.argv[1])
    let now = 0
    const lines = []
    const log = { warn: (facts) => lines.push(facts) }
    const removals = createRemovals([process.argv[2]], { clock: { monotonicMs: () => now }, log })
    const seen = []
    for (const hours of [0, 1, 23.5, 24.5]) {
      now = hours * 3_600_000
      seen.push([await removals.sweep(), removals.left, lines.length])
    }
    console.log(JSON.stringify({ seen, first: lines[0] }))`
    const module = import.meta.resolve('#kernel/machine/removals.ts')
    const { seen, first } = JSON.parse(asPlainUser(script, module, dir))
    t.same(seen, [
      [1, 1, 1],
      [1, 1, 1],
      [1, 1, 1],
      [1, 1, 2]
    ])
    t.match(first, { folders: 1, first: { left: 1 } })
    t.same(readdirSync(join(dir, '.removed-1')), ['kept'], 'the rest is gone')
    await using removals = createRemovals([dir], { clock, log: { warn: () => {} } })
    t.equal(await removals.sweep(), 0, 'and with the rights for it, all of it')
  }
)
