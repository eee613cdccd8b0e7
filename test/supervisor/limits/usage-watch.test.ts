import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { systemClock } from '#kernel/clock.ts'
import { silentLog } from '#kernel/log.ts'
import type { AgentFailure } from '../../../supervisor/agent-failure.ts'
import { AGENT_LIMITS, type AgentLimits } from '#kernel/limits.ts'
import { createDiskMeter } from '../../../supervisor/limits/disk-meter.ts'
import { createUsageWatch } from '../../../supervisor/limits/usage-watch.ts'
import type { SupervisorMetric } from '../../../supervisor/options.ts'
import { untilGone } from '../../helpers/processes.ts'
import { ENV, givenRooms, type GivenRoom } from '../../helpers/rooms/given-rooms.ts'

const MB = 1_000_000
const LIMITS: AgentLimits = {
  ...AGENT_LIMITS,
  memoryMaxBytes: 300 * MB,
  memorySoftBytes: 100 * MB,
  processesMax: 150,
  openFilesMax: 500,
  quotaBytes: 50 * MB,
  quotaFiles: 3000
}
/** Each thread of a Node process takes 8 MB. */
const FOR_THREADS = { ...LIMITS, processesMax: 45, memoryMaxBytes: 2000 * MB }
const LIMIT_OF_PROCESSES = { ...LIMITS, fileBytesMax: LIMITS.quotaBytes }

/** A room with a watch over it, whose excess ends it. */
async function givenWatch(t: Test, { room, worktree, own }: GivenRoom, limits = LIMITS) {
  const disk = createDiskMeter()
  t.teardown(() => disk[Symbol.asyncDispose]())
  const metrics: SupervisorMetric[] = []
  const excess = Promise.withResolvers<AgentFailure>()
  const usage = createUsageWatch({
    room,
    folders: [worktree, own],
    disk,
    limits,
    clock: systemClock,
    log: silentLog,
    onMetric: (metric) => metrics.push(metric),
    async onExcess(failure) {
      excess.resolve(failure)
      await room.kill()
    }
  })
  // Until it knows what the project takes before the first turn.
  await disk.measure([worktree, own])
  await sleep(100)
  return { usage, metrics, excess: excess.promise }
}

/** Each bounds itself: 1000 processes, 1 GB, 300 MB, 20,000 files, whatever the limits do. */
const ATTACKS = [
  [
    'too-many-processes',
    'a fork bomb',
    'for n in $(seq 1000); do sleep 30 & done 2> /dev/null; wait'
  ],
  [
    'too-many-processes',
    'threads',
    `/opt/node/node -e '
    const { Worker } = require("node:worker_threads")
    for (let n = 0; n < 40; n++) new Worker("setInterval(() => {}, 1000)", { eval: true })'`
  ],
  [
    'out-of-memory',
    'memory',
    `/opt/node/node -e '
    const kept = []
    for (let n = 0; n < 100; n++) kept.push(Buffer.alloc(10e6, 1))
    setInterval(() => kept.length, 1000)'`
  ],
  [
    'disk-full',
    'a disk filler',
    'for n in $(seq 10); do head -c 30000000 /dev/zero > large$n; done'
  ],
  ['disk-full', 'many files', 'for n in $(seq 20000); do echo $n > small$n; done'],
  [
    'disk-full',
    'files in its own folder',
    'head -c 45000000 /dev/zero > /kilo/a; cp /kilo/a /kilo/b'
  ]
] as const

t.test('ends a room that exceeds a limit', async (t) => {
  const { problem, open } = await givenRooms(t, 'bubblewrap')
  if (problem !== undefined) return t.plan(0, problem)
  for (const [reason, name, command] of ATTACKS) {
    await t.test(name, async (t) => {
      const given = await open(`room-${name}`, silentLog, LIMIT_OF_PROCESSES)
      const { usage, metrics, excess } = await givenWatch(
        t,
        given,
        name === 'threads' ? FOR_THREADS : LIMITS
      )
      using _watched = usage.watchTurn()
      await given.room.spawn({
        argv: ['/bin/bash', '-c', `${command}; sleep 60`],
        env: ENV,
        cwd: given.room.paths.work
      })
      const failure = await Promise.race([excess, sleep(60_000, undefined, { ref: false })])
      t.equal(failure?.reason, reason, failure?.message ?? 'no excess')
      t.same(metrics, [{ kind: 'limit-exceeded', limit: reason }])
      await untilGone(given.marker)
      t.equal(await usage.endTurn(), undefined, 'reported once')
    })
  }
})

t.test('what the kernel enforces in a room', async (t) => {
  const { problem, open } = await givenRooms(t, 'bubblewrap')
  if (problem !== undefined) return t.plan(0, problem)
  const { sh } = await open('kernel', silentLog, LIMIT_OF_PROCESSES)
  const { stdout } = await sh(
    'cat /proc/self/oom_score_adj; nice; ulimit -Hn; ulimit -Hc; ulimit -Sn'
  )
  t.same(stdout.split('\n').slice(0, 5), ['1000', '5', '500', '0', '500'])
  const large = await sh('head -c 60000000 /dev/zero > large; echo $?; stat -c %s large')
  const [code, size] = large.stdout.split('\n').map(Number)
  t.equal(code, 128 + 25, 'SIGXFSZ')
  t.ok(size !== undefined && size < LIMITS.quotaBytes + 512, `${size} bytes`)
  t.match(await sh('ulimit -n 1000 2>&1'), { code: 1 }, 'limits cannot be raised')
})

t.test('knows an agent that has outgrown its memory after a turn', async (t) => {
  const { problem, open } = await givenRooms(t, 'bubblewrap')
  if (problem !== undefined) return t.plan(0, problem)
  const given = await open('soft', silentLog, LIMIT_OF_PROCESSES)
  const { usage, metrics } = await givenWatch(t, given)
  await usage.endTurn()
  t.equal(usage.hasOutgrown, false)
  const kept =
    'const kept = Buffer.alloc(150e6, 1); console.log("ready"); setInterval(() => kept, 1e3)'
  const { stdout } = await given.room.spawn({
    argv: ['/opt/node/node', '-e', kept],
    env: ENV,
    cwd: '/'
  })
  await new Promise((resolve) => stdout.once('data', resolve))
  await usage.endTurn()
  t.equal(usage.hasOutgrown, true)
  t.ok((await usage.stats()).memoryBytes > 150 * MB)
  t.same(metrics, [])
})

t.test('a turn near the quota is measured at its end', async (t) => {
  const { open } = await givenRooms(t, 'plain')
  const given = await open('near')
  const fill = (name: string, megabytes: number) =>
    writeFile(join(given.worktree, name), Buffer.alloc(megabytes * MB, 1))
  await fill('first', 45)
  const { usage } = await givenWatch(t, given)
  t.equal(await usage.endTurn(), undefined)
  {
    using _watched = usage.watchTurn()
    await fill('second', 20)
  }
  t.match(await usage.endTurn(), { reason: 'disk-full' }, 'although no poll has seen it')

  const next = (await givenWatch(t, given)).usage
  {
    using _watched = next.watchTurn()
    t.equal(await next.endTurn(), undefined, 'a turn that begins over the quota may run')
    await fill('third', 40)
    t.match(await next.endTurn(), { reason: 'disk-full' }, 'and may not grow')
  }
})
