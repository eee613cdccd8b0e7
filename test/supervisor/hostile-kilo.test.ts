import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { silentLog } from '#kernel/log.ts'
import { spawnKilo } from '../../supervisor/agent/kilo-process.ts'
import { OUTPUT_LIMITS } from '../../supervisor/process/output-reader.ts'
import { runsOf } from '../helpers/property.ts'
import { allProcesses } from '../helpers/processes.ts'
import { ENV, givenRooms } from '../helpers/rooms/given-rooms.ts'
import { processesWith } from './helpers.ts'
import { kiloThat, stageWith } from './programs.ts'

const MIB = 1024 * 1024
/** What the server may need for a second of output, and for the garbage of earlier ones. */
const GROWTH_BYTES_MAX = 8 * OUTPUT_LIMITS.discardedBytesMax
const DELAY_MS_MAX = 1000

/** Watches this process while it reads the output of another one. */
function watchOurselves() {
  const before = process.memoryUsage().rss
  const delay = monitorEventLoopDelay({ resolution: 20 })
  delay.enable()
  let peak = before
  const timer = setInterval(() => (peak = Math.max(peak, process.memoryUsage().rss)), 50)
  return () => {
    clearInterval(timer)
    delay.disable()
    return { growth: peak - before, delayMs: delay.max / 1e6 }
  }
}

/** At the rate that the server reads it, this is a gigabyte in a deep run. */
const FLOOD_MS = runsOf({ usual: 4, deep: 34 }) * 1000

for (const [says, flood] of [
  ['short lines', `spawn('yes', { stdio: 'inherit' })`],
  ['a line without an end', `spawn('cat', ['/dev/zero'], { stdio: ['ignore', 1, 2] })`],
  ['to its error output', `spawn('yes', ['trouble'], { stdio: ['ignore', 2, 2] })`]
] as const) {
  t.test(`an agent that prints ${says} costs little memory and time`, async (t) => {
    const program = kiloThat(`setTimeout(() => ${flood}, 200)`)
    const { project, supervisor, folder } = await stageWith(t, program)
    const { id, pid } = await project()
    const stopWatching = watchOurselves()
    await sleep(FLOOD_MS)
    const { growth, delayMs } = stopWatching()
    t.ok(growth < GROWTH_BYTES_MAX, `${Math.round(growth / MIB)} MiB`)
    t.ok(delayMs < DELAY_MS_MAX, `${Math.round(delayMs)} ms`)
    t.match(supervisor.running(), [{ pid, state: 'ready' }], 'and it is not disturbed')
    await supervisor.stop(id)
    t.same(await processesWith(folder), [])
  })
}

t.test('an agent that prints without end and never listens is not awaited for ever', async (t) => {
  const times = { startMs: 2000, startMaxMs: 4000 }
  const { project, supervisor, folder } = await stageWith(t, '#!/bin/sh\nyes & yes >&2\n', times)
  const stopWatching = watchOurselves()
  await t.rejects(project(), { reason: 'unavailable', message: /did not listen within \d s/ })
  const { growth, delayMs } = stopWatching()
  t.ok(growth < GROWTH_BYTES_MAX, `${Math.round(growth / MIB)} MiB`)
  t.ok(delayMs < DELAY_MS_MAX, `${Math.round(delayMs)} ms`)
  t.same(await processesWith(folder), [])
  t.same(supervisor.running(), [])
})

t.test('an agent that ignores SIGTERM is killed after the grace period', async (t) => {
  const program = kiloThat(`
    process.on('SIGTERM', () => {})
    spawn('sh', ['-c', "trap '' TERM HUP; (setsid sleep 600 &); sleep 600"], { detached: true })
  `)
  const { project, supervisor, folder, metrics } = await stageWith(t, program, { stopMs: 1000 })
  const { id } = await project()
  t.ok((await processesWith(folder)).length >= 3)
  await supervisor.stop(id)
  t.same(await processesWith(folder), [])
  const zombies = (await allProcesses()).filter(
    ({ parent, command }) => parent === process.pid && command === ''
  )
  t.same(zombies, [])
  t.match(
    metrics.filter(({ kind }) => kind === 'ended'),
    [{ reason: 'interrupted' }]
  )
  t.match(await supervisor.status(id), {
    state: 'stopped',
    failures: 0,
    lastEnd: { reason: 'interrupted', how: 'was ended by SIGKILL' }
  })
})

t.test('a room whose processes are all suspended is ended after the grace period', async (t) => {
  const { problem, open, folder } = await givenRooms(t, 'bubblewrap')
  if (problem !== undefined) return t.plan(0, problem)
  const { room } = await open()
  const argv = ['/bin/sleep', '600'] as const
  const command = { argv: [...argv] as [string, ...string[]], env: ENV, cwd: room.paths.work }
  const kilo = await spawnKilo(room, command, silentLog, (text) => text)
  const pids = await room.processes()
  t.ok(pids.length >= 3)
  for (const pid of pids) process.kill(pid, 'SIGSTOP')
  const since = performance.now()
  await kilo.stop(500)
  // The room's program does not answer the request to send SIGTERM, which would be awaited for 15 s.
  t.ok(performance.now() - since < 12_000)
  t.same(await processesWith(folder), [])
})

t.test('the status of an agent shows what its processes use', async (t) => {
  const program = kiloThat(`spawn('sleep', ['600'])`)
  const { project, supervisor } = await stageWith(t, program)
  const { id, borrowed } = await project()
  const status = await supervisor.status(id)
  t.match(status, { state: 'ready', busy: true, restarts: 0, usage: { processes: 2 } })
  t.ok((status.usage?.memoryBytes ?? 0) > 10 * MIB)
  t.ok((status.usage?.cpuMs ?? 0) > 0)
  borrowed[Symbol.dispose]()
  t.match(await supervisor.status(id), { busy: false })
  t.same(supervisor.count(), { starting: 0, ready: 1, draining: 0, broken: 0 })
})

t.test('an agent that crashes on its own is counted, one that is stopped is not', async (t) => {
  const { project, supervisor } = await stageWith(t, kiloThat(''))
  const { id, pid } = await project()
  process.kill(pid, 'SIGKILL')
  while ((await supervisor.status(id)).state !== 'stopped') await sleep(20)
  t.match(await supervisor.status(id), {
    failures: 1,
    lastEnd: { reason: 'crashed', how: 'was ended by SIGKILL' }
  })
})
