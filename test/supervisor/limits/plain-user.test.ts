import { execFileSync } from 'node:child_process'
import { release } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { countsPerNamespace } from '../../../supervisor/process/process-limits.ts'
import { usableBubblewrap } from '../../helpers/rooms/usable-bubblewrap.ts'

const ROOT = join(import.meta.dirname, '../../..')

/** Opens two rooms as another user, and starts too many processes in the first one. */
const SCRIPT = `
  import { mkdirSync } from 'node:fs'
  import { openBubblewrapRoom } from '${ROOT}/supervisor/room/bubblewrap-room.ts'
  import { findKilo } from '${ROOT}/supervisor/agent/kilo-binary.ts'
  const [folder, bubblewrap] = process.argv.slice(1)
  const log = { child: () => log, debug() {}, info() {}, warn() {}, error() {} }
  const kilo = await findKilo(undefined)
  process.setgid(65534)
  process.setuid(65534)
  const limits = { processesMax: 80, openFilesMax: 500, fileBytesMax: 1e6, nice: 1 }
  const open = async (name) => {
    const plan = { worktree: folder + name + '/w', own: folder + name + '/o', given: folder + name + '/g' }
    for (const path of Object.values(plan)) mkdirSync(path, { recursive: true })
    return openBubblewrapRoom({ ...plan, marker: folder + name, limits, log }, { kilo, ripgrep: undefined, bubblewrap })
  }
  const run = (room, line) => room.run(
    { argv: ['/bin/sh', '-c', line], env: { PATH: '/usr/bin:/bin' }, cwd: '/work' },
    { timeoutMs: 30000, outputBytes: 1e6 })
  await using first = await open('/first')
  await using second = await open('/second')
  const bomb = await run(first, 'for n in $(seq 200); do sleep 20 & done; echo never')
  const other = await run(second, 'for n in $(seq 20); do sleep 0.1 & done; wait; echo fine')
  console.log(JSON.stringify({ bomb: bomb.stderr, never: bomb.stdout, other: other.stdout }))
`

const skip =
  (process.getuid?.() !== 0 && 'needs root, to become another user') ||
  (usableBubblewrap === undefined && 'bubblewrap cannot be used on this machine') ||
  (!countsPerNamespace(release()) && 'the kernel is too old')

t.test("the kernel refuses a plain user's room more processes", { skip }, async (t) => {
  const folder = t.testdir({ rooms: {} })
  execFileSync('chown', ['65534', join(folder, 'rooms')])
  const output = execFileSync(
    process.execPath,
    ['--input-type=module', '-e', SCRIPT, join(folder, 'rooms'), usableBubblewrap!],
    {
      encoding: 'utf8',
      env: { PATH: process.env['PATH'] },
      cwd: ROOT,
      timeout: 60_000,
      stdio: ['ignore', 'pipe', 'ignore']
    }
  )
  const { bomb, never, other } = JSON.parse(output) as Record<string, string>
  t.match(bomb, /Cannot fork|Resource temporarily unavailable/)
  t.equal(never, '')
  t.equal(other, 'fine\n', 'and counts each room for itself')
})
