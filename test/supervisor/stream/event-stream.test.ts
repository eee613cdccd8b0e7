import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { followEvents } from '../../../supervisor/stream/event-stream.ts'
import type { ConnectionState } from '../../../supervisor/stream/connection-states.ts'
import { createSequenceTracker } from '../../../supervisor/stream/sequence.ts'
import { PATIENCE_MS } from '../../helpers/patience.ts'
import { createManualClock } from '../manual-clock.ts'

const sync = (seq: number) => ({ type: 'sync', syncEvent: { aggregateID: 'ses_a', seq } })

/** An event server that the test controls, and what the follower of its stream reported. */
async function given(t: Test, times = { silenceMs: 20_000, renewMs: 10_000 }) {
  const sockets: ServerResponse[] = []
  let status = 200
  let healthy = true
  let failures = 0
  const clock = createManualClock()
  const states: ConnectionState[] = ['connecting']
  const reports: string[] = []
  const server = createServer((_request, response) => {
    response.writeHead(status, { 'content-type': 'text/event-stream' })
    if (status !== 200) return void response.end()
    sockets.push(response)
    response.write('data: {"payload":{"type":"server.connected"}}\n\n')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const stream = followEvents({
    ...times,
    clock,
    openMs: 20_000,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    authorization: 'none',
    sequence: createSequenceTracker(),
    isHealthy: async () => healthy,
    onFrame: ({ type }) => reports.push(type),
    onLoss: (why) => reports.push(why),
    onGapOpened: () => reports.push('gap opened'),
    onReconnected: () => reports.push('reconnected'),
    async onCatchUp() {
      reports.push('caught up')
      if (failures-- > 0) throw new Error('busy')
    },
    onDead: () => reports.push('dead'),
    onState: (state) => states.push(state)
  })
  t.teardown(() => {
    stream[Symbol.dispose]()
    server.closeAllConnections()
    server.close()
  })
  /** Moves time on for as long as it takes. */
  const until = async (what: string, isThere: () => boolean) => {
    const deadline = Date.now() + PATIENCE_MS
    while (!isThere()) {
      if (Date.now() > deadline) throw new Error(`no ${what}, only ${reports.join()}`)
      await sleep(1)
      await clock.advance(10)
    }
  }
  await until('first message', () => reports.length > 0)
  await stream.opened
  t.same(states.splice(0), ['connecting', 'settling', 'live'])
  reports.length = 0

  return {
    clock,
    reports,
    states,
    send: (payload: object) => sockets.at(-1)?.write(`data: ${JSON.stringify({ payload })}\n\n`),
    write: (bytes: string) => sockets.at(-1)?.write(bytes),
    end: () => sockets.at(-1)?.end(),
    cut: () => sockets.at(-1)?.destroy(),
    answer: (code: number) => (status = code),
    fail: (times: number) => (failures = times),
    sicken: () => (healthy = false),
    dispose: () => stream[Symbol.dispose](),
    until: (report: string) => until(report, () => reports.includes(report)),
    untilState: (state: ConnectionState) => until(state, () => states.includes(state))
  }
}

const RECONNECT = ['gap', 'connecting', 'settling', 'catching-up', 'live']

for (const how of ['end', 'cut'] as const) {
  t.test(
    `reconnects after the stream ends (${how}) and reads the missed events first`,
    async (t) => {
      const it = await given(t)
      it[how]()
      await it.until('caught up')
      it.send({ type: 'x' })
      await it.until('x')
      t.same(it.reports, ['gap opened', 'reconnected', 'caught up', 'server.connected', 'x'])
      t.same(it.states, RECONNECT)
    }
  )
}

t.test('reconnects when the stream is silent for too long', async (t) => {
  const it = await given(t, { silenceMs: 1500, renewMs: 20_000 })
  await it.until('caught up')
  t.same(it.reports.slice(0, 3), ['gap opened', 'reconnected', 'caught up'])
  t.same(it.states.slice(0, 4), RECONNECT.slice(0, 4))
})

t.test('reconnects once more when the missed events cannot be read', async (t) => {
  const it = await given(t)
  it.fail(1)
  it.cut()
  await it.until('server.connected')
  const attempt = ['gap opened', 'reconnected', 'caught up']
  t.same(it.reports, [...attempt, ...attempt, 'server.connected'])
  t.same(it.states, [...RECONNECT.slice(0, 4), ...RECONNECT])
})

t.test('skips garbage, reads what it may have been, and continues', async (t) => {
  const it = await given(t)
  it.write('data: {"payload": half\n\n')
  await it.until('caught up')
  it.send({ type: 'x' })
  await it.until('x')
  t.same(it.reports, ['garbage', 'gap opened', 'caught up', 'x'])
  t.same(it.states, ['gap', 'catching-up', 'live'])

  await t.test('reads it once a second, however much garbage there is', async (t) => {
    const catchUps = () => it.reports.filter((report) => report === 'caught up').length
    const sinceMs = it.clock.monotonicMs()
    for (let i = 0; i < 50; i++) it.write('data: no\n\n')
    it.send({ type: 'y' })
    await it.until('y')
    const seconds = (it.clock.monotonicMs() - sinceMs) / 1000
    t.ok(catchUps() <= 2 + seconds, `${catchUps()} in ${seconds} s`)
    await it.clock.advance(1000)
    await it.untilState('live')
    t.ok(catchUps() >= 2, 'the last gap is closed as well')
  })
})

t.test('reads what is missing while the stream stands', async (t) => {
  const it = await given(t)
  for (const seq of [3, 4, 6]) it.send(sync(seq))
  it.send({ type: 'x' })
  await it.until('x')
  t.same(it.reports, ['gap', 'gap opened', 'caught up', 'x'])
})

t.test('counts a Kilo without events as dead after the renewal time', async (t) => {
  const it = await given(t, { silenceMs: 20_000, renewMs: 1500 })
  const sinceMs = it.clock.monotonicMs()
  it.answer(503)
  it.cut()
  await it.until('dead')
  t.ok(it.clock.monotonicMs() - sinceMs >= 1500)
  await it.untilState('dead')
})

t.test('counts a Kilo that does not respond as dead immediately', async (t) => {
  const it = await given(t)
  it.sicken()
  it.cut()
  await it.until('dead')
  await it.untilState('dead')
  t.same(it.reports, ['gap opened', 'dead'])
  t.same(it.states, ['gap', 'dead'])
})

t.test('reports nothing after it was disposed', async (t) => {
  const it = await given(t)
  it.dispose()
  await it.untilState('dead')
  t.same(it.reports, [])
  t.same(it.states, ['dead'])
})
