import { setImmediate as turn } from 'node:timers/promises'
import * as fc from 'fast-check'
import { projectId } from '#kernel/ids.ts'
import { silentLog } from '#kernel/log.ts'
import t from 'tap'
import type { AgentEnd, StopReason } from '../../../supervisor/agent-end.ts'
import { unavailable } from '../../../supervisor/agent-failure.ts'
import type { RunningKilo } from '../../../supervisor/agent/agent.ts'
import { AGENT_TIMES, type SupervisorMetric } from '../../../supervisor/options.ts'
import { createAgentRecords } from '../../../supervisor/pool/agent-records.ts'
import { AGENT_STATES } from '../../../supervisor/pool/agent-states.ts'
import { createStatusReader } from '../../../supervisor/pool/agent-status.ts'
import { lend } from '../../../supervisor/pool/lending.ts'
import { createAgentSlots } from '../../../supervisor/pool/slots.ts'
import { check } from '../../helpers/property.ts'
import { createManualClock } from '../manual-clock.ts'

const { probeAfterMs, brokenMs, failureWindowMs } = AGENT_TIMES
const id = projectId.create()

/** A process that lives in this test: it responds and exits as the test requires. */
function createProcess() {
  const exited = Promise.withResolvers<AgentEnd>()
  let state: RunningKilo['state'] = 'ready'
  const exit = (reason: AgentEnd['reason']) => {
    state = 'exited'
    exited.resolve({ reason, how: 'by the test' })
  }
  const process = {
    isResponsive: true,
    checks: 0,
    measured: 0,
    turnsRunning: 0,
    startedAt: new Date(0),
    exited: exited.promise,
    exit,
    get state() {
      return state
    },
    async check() {
      process.checks += 1
      if (!process.isResponsive) exit('stalled')
      return process.isResponsive
    },
    async stats() {
      process.measured += 1
      return { processes: 2, memoryBytes: 3, cpuMs: 4 }
    },
    async stop(reason: StopReason) {
      if (state === 'exited') return
      state = 'draining'
      await turn()
      exit(reason)
    }
  }
  return process
}

function given({ agentsMax = 2 } = {}) {
  const clock = createManualClock()
  const metrics: SupervisorMetric[] = []
  const onMetric = (metric: SupervisorMetric) => void metrics.push(metric)
  const records = createAgentRecords({ clock, times: AGENT_TIMES, log: silentLog, onMetric })
  const slots = createAgentSlots({
    ...{ agentsMax, memoryBytesMax: Infinity, clock, log: silentLog, records },
    onStartFailed: () => {}
  })
  const processes: ReturnType<typeof createProcess>[] = []
  /** The error that the next start fails with. */
  let failure: Error | undefined
  const start = async () => {
    await turn()
    if (failure) throw failure
    const process = createProcess()
    processes.push(process)
    return process as unknown as RunningKilo
  }
  const borrow = (project = id) =>
    lend({
      ...{ clock, probeAfterMs, signal: new AbortController().signal },
      slotFor: () => slots.find(project) ?? slots.open(project, start)
    })
  return {
    ...{ clock, metrics, records, slots, processes, borrow },
    status: createStatusReader(slots, records, clock),
    failWith: (error: Error | undefined) => (failure = error),
    /** Ends the last process as a failure, after it was started. */
    async fail(reason: 'crashed' | 'stalled' = 'crashed') {
      using borrowed = borrow()
      await borrowed.agent
      processes.at(-1)?.exit(reason)
      await settled()
    }
  }
}

const settled = async () => {
  for (let at = 0; at < 10; at++) await turn()
}

t.test('asks an agent that was idle before it lends it, and replaces one that hangs', async (t) => {
  const { borrow, clock, processes, status } = given()
  {
    using first = borrow()
    await first.agent
  }
  {
    using warm = borrow()
    await warm.agent
    t.equal(processes[0]?.checks, 0, 'it was used a moment ago')
  }
  await clock.advance(probeAfterMs)
  {
    using idle = borrow()
    using second = borrow()
    t.equal(await idle.agent, processes[0])
    t.equal(await second.agent, processes[0])
    t.equal(processes[0]?.checks, 2, 'a borrower that comes during the check checks as well')
    using third = borrow()
    await third.agent
    t.equal(processes[0]?.checks, 2, 'it has responded')
  }
  await clock.advance(probeAfterMs)
  processes[0]!.isResponsive = false
  using other = borrow()
  t.equal(await other.agent, processes[1])
  t.match(await status(id), {
    state: 'ready',
    restarts: 1,
    busy: true,
    lastEnd: { reason: 'stalled' },
    failures: 1
  })
})

t.test('a borrower that leaves during the check starts no other agent', async (t) => {
  const { borrow, clock, processes, status } = given()
  {
    using first = borrow()
    await first.agent
  }
  await clock.advance(probeAfterMs)
  processes[0]!.isResponsive = false
  const gone = borrow()
  gone[Symbol.dispose]()
  await t.rejects(gone.agent, { name: 'AgentFailure', reason: 'stopped' })
  t.equal(processes.length, 1)
  t.match(await status(id), { state: 'stopped', busy: false })
})

t.test('an agent that fails too often is broken, until a trial works', async (t) => {
  const { borrow, clock, fail, failWith, metrics, records, status } = given()
  const refusal = async () => borrow().agent.catch((error: Error) => error)

  for (let at = 0; at < 3; at++) await fail()
  await fail('stalled')
  t.match(await status(id), { state: 'stopped', failures: 4, brokenUntil: undefined })
  failWith(unavailable('no such database'))
  await t.rejects(borrow().agent, { message: 'no such database' })
  const brokenUntil = new Date(clock.now().getTime() + brokenMs)
  t.match(await status(id), {
    state: 'broken',
    brokenUntil,
    lastEnd: { reason: 'start_failed', how: 'no such database' }
  })
  t.equal(metrics.filter(({ kind }) => kind === 'broken').length, 1)

  await clock.advance(brokenMs - 1)
  t.match(await refusal(), {
    reason: 'unavailable',
    message: `The agent of this project failed 5 times in a short time, and is started again at ${brokenUntil.toISOString()} at the earliest, or when its restart is requested. The last one: start_failed (no such database).`
  })
  t.equal(metrics.filter(({ kind }) => kind === 'ended').length, 5, 'nothing was started')

  await clock.advance(1)
  await t.rejects(borrow().agent, { message: 'no such database' })
  t.match(await status(id), { state: 'broken' }, 'the trial failed')
  await clock.advance(brokenMs)
  failWith(undefined)
  using borrowed = borrow()
  await borrowed.agent
  t.match(await status(id), { state: 'ready', brokenUntil: undefined })
  records.worked(id)
  t.equal(metrics.filter(({ kind }) => kind === 'repaired').length, 1)
  t.equal(records.count().broken, 0)

  await fail()
  t.match(await status(id), { state: 'stopped', failures: 1 }, 'earlier failures are forgotten')
  await clock.advance(failureWindowMs)
  t.match(await status(id), { failures: 0 })
})

t.test('a request to restart forgets failures', async (t) => {
  const { borrow, fail, records, slots, status } = given()
  for (let at = 0; at < 5; at++) await fail()
  t.match(await status(id), { state: 'broken' })
  records.reset(id)
  await slots.retire(id, 'restarted')
  t.match(await status(id), { state: 'stopped', failures: 0, brokenUntil: undefined })
  using borrowed = borrow()
  await t.resolves(borrowed.agent)
})

t.test('what the server does is no failure of an agent', async (t) => {
  const { borrow, clock, slots, status } = given({ agentsMax: 1 })
  for (const reason of ['idle', 'evicted', 'restarted', 'interrupted', 'shutdown'] as const) {
    for (let at = 0; at < 2; at++) {
      using borrowed = borrow()
      await borrowed.agent
      await slots.leave(id, reason)
      t.match(await status(id), { state: 'stopped', lastEnd: { reason }, failures: 0 })
    }
  }
  using busy = borrow()
  await busy.agent
  const other = projectId.create()
  for (let at = 0; at < 6; at++) await t.rejects(borrow(other).agent, /agents .* are busy/)
  t.match(await status(other), { state: 'stopped', failures: 0, lastEnd: undefined })
  await clock.advance(0)
})

t.test('a retired agent stays with its borrower, and the next one gets another', async (t) => {
  const { borrow, clock, slots, processes, status } = given({ agentsMax: 1 })
  const borrowed = borrow()
  await borrowed.agent
  const retired = slots.retire(id, 'restarted')
  t.match(await status(id), { state: 'draining' })
  using next = borrow()
  await clock.advance(1000)
  t.equal(processes.length, 1, 'the next one waits')
  await t.rejects(borrow(projectId.create()).agent, /busy/, 'the retired one still counts')
  t.equal(processes[0]?.state, 'ready')
  borrowed[Symbol.dispose]()
  await clock.advance(1000)
  await retired
  t.equal(await next.agent, processes[1])
  t.match(await status(id), { state: 'ready', lastEnd: { reason: 'restarted' } })

  const late = slots.retire(id, 'restarted')
  const left = slots.leave(id, 'deleted')
  await clock.advance(1000)
  await Promise.all([late, left])
  t.equal(processes[1]?.state, 'exited', 'a project that is deleted does not wait for borrowers')
  using third = borrow()
  await third.agent
  const last = slots.retire(id, 'restarted')
  const ended = slots.leaveAll('shutdown')
  await clock.advance(1000)
  await Promise.all([last, ended])
  t.equal(processes[2]?.state, 'exited', 'nor does a server that stops')
})

t.test('measures an agent at most once a second', async (t) => {
  const { borrow, clock, processes, status } = given()
  t.match(await status(id), { state: 'stopped', usage: undefined, startedAt: undefined })
  using borrowed = borrow()
  await borrowed.agent
  const usage = { processes: 2, memoryBytes: 3, cpuMs: 4 }
  for (let at = 0; at < 10; at++) t.match(await status(id), { usage })
  t.equal(processes[0]?.measured, 1)
  await clock.advance(1000)
  await status(id)
  t.equal(processes[0]?.measured, 2)
})

t.test('the table allows every step, whatever the order of events', async (t) => {
  const seen = new Set<string>()
  const act = fc.constantFrom(
    ...['borrow', 'return', 'crash', 'hang', 'leave', 'retire', 'reset', 'refuse', 'allow'],
    ...['second', 'hours', 'wait', 'worked']
  )
  await check(
    fc.asyncProperty(fc.array(act, { maxLength: 40 }), async (acts) => {
      const stage = given({ agentsMax: 1 })
      // One more opens the budget.
      for (let at = 0; at < 4; at++) await stage.fail()
      const { slots, records, clock, processes } = stage
      const borrowed: ReturnType<typeof stage.borrow>[] = []
      const stops: Promise<unknown>[] = []
      const doing: Record<string, () => unknown> = {
        borrow: () => borrowed.push(stage.borrow()),
        return: () => borrowed.shift()?.[Symbol.dispose](),
        crash: () => processes.at(-1)?.exit('crashed'),
        hang: () => processes.at(-1) && (processes.at(-1)!.isResponsive = false),
        leave: () => stops.push(slots.leave(id, 'idle')),
        retire: () => stops.push(slots.retire(id, 'restarted')),
        reset: () => records.reset(id),
        refuse: () => stage.failWith(unavailable('refused')),
        allow: () => stage.failWith(undefined),
        second: () => clock.advance(1000),
        hours: () => clock.advance(brokenMs),
        wait: settled,
        worked: () => records.worked(id)
      }
      for (const name of acts) {
        await doing[name]?.()
        seen.add(records.read(id).state)
        await turn()
        seen.add(records.read(id).state)
      }
      for (const each of borrowed) each[Symbol.dispose]()
      const done = Promise.all([slots.leaveAll('shutdown'), ...stops])
      await clock.advance(2000)
      await done
      await settled()
      const { state } = records.read(id)
      return state === 'stopped' || state === 'broken'
    }),
    { usual: 200, deep: 5000 }
  )
  t.same([...seen].toSorted(), Object.keys(AGENT_STATES).toSorted(), 'each state was reached')
})
