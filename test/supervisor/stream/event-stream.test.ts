import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { followEvents } from '../../../supervisor/stream/event-stream.ts'
import { createSequenceTracker } from '../../../supervisor/stream/sequence.ts'
import { until } from '../../helpers/patience.ts'

const sync = (seq: number) => ({ type: 'sync', syncEvent: { aggregateID: 'ses_a', seq } })

/** A server of events that does as it is told, and what its follower heard. */
async function given(t: Test, times = { silenceMs: 2000, renewMs: 10_000 }) {
  const sockets: ServerResponse[] = []
  let status = 200
  let healthy = true
  let failures = 0
  const heard: string[] = []
  const server = createServer((_request, response) => {
    response.writeHead(status, { 'content-type': 'text/event-stream' })
    if (status !== 200) return void response.end()
    sockets.push(response)
    response.write('data: {"payload":{"type":"server.connected"}}\n\n')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const stream = followEvents({
    ...times,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    authorization: 'none',
    sequence: createSequenceTracker(),
    isHealthy: async () => healthy,
    onFrame: ({ type }) => heard.push(type),
    onLoss: (why) => heard.push(why),
    onGapOpened: () => heard.push('gap opened'),
    onReconnected: () => heard.push('reconnected'),
    async onCatchUp() {
      heard.push('caught up')
      if (failures-- > 0) throw new Error('busy')
    },
    onDead: () => heard.push('dead')
  })
  t.teardown(() => {
    stream[Symbol.dispose]()
    server.closeAllConnections()
    server.close()
  })
  await stream.opened
  await until('the first message', () => heard.length > 0)
  heard.length = 0

  return {
    heard,
    say: (payload: object) => sockets.at(-1)?.write(`data: ${JSON.stringify({ payload })}\n\n`),
    write: (bytes: string) => sockets.at(-1)?.write(bytes),
    end: () => sockets.at(-1)?.end(),
    cut: () => sockets.at(-1)?.destroy(),
    answer: (code: number) => (status = code),
    fail: (times: number) => (failures = times),
    sicken: () => (healthy = false),
    async until(word: string) {
      const deadline = Date.now() + 20_000
      while (!heard.includes(word)) {
        if (Date.now() > deadline) throw new Error(`never ${word}, only ${heard.join()}`)
        await sleep(10)
      }
    }
  }
}

for (const how of ['end', 'cut'] as const) {
  t.test(
    `a stream that is gone (${how}) is begun anew, and what was missed is read first`,
    async (t) => {
      const it = await given(t)
      it[how]()
      await it.until('caught up')
      it.say({ type: 'x' })
      await it.until('x')
      t.same(it.heard, ['gap opened', 'reconnected', 'caught up', 'server.connected', 'x'])
    }
  )
}

t.test('one that says nothing for too long is gone', async (t) => {
  const it = await given(t, { silenceMs: 1500, renewMs: 20_000 })
  await it.until('caught up')
  t.same(it.heard.slice(0, 3), ['gap opened', 'reconnected', 'caught up'])
})

t.test('when Kilo cannot tell what was missed, the stream is begun once more', async (t) => {
  const it = await given(t)
  it.fail(1)
  it.cut()
  await it.until('server.connected')
  t.same(it.heard, [
    'gap opened',
    'reconnected',
    'caught up',
    'gap opened',
    'reconnected',
    'caught up',
    'server.connected'
  ])
})

t.test(
  'garbage is skipped; what it may have been is asked for, and the stream goes on',
  async (t) => {
    const it = await given(t)
    it.write('data: {"payload": half\n\n')
    await it.until('caught up')
    it.say({ type: 'x' })
    await it.until('x')
    t.same(it.heard, ['garbage', 'gap opened', 'caught up', 'x'])
    const since = performance.now()
    for (let i = 0; i < 50; i++) it.write('data: no\n\n')
    it.say({ type: 'y' })
    await it.until('y')
    const asked = it.heard.filter((word) => word === 'caught up').length
    const seconds = (performance.now() - since) / 1000
    t.ok(asked <= 2 + seconds, `once a second, not at every message: ${asked} in ${seconds} s`)
  }
)

t.test('a number that is missing is asked for while the stream lives', async (t) => {
  const it = await given(t)
  for (const seq of [3, 4, 6]) it.say(sync(seq))
  it.say({ type: 'x' })
  await it.until('x')
  t.same(it.heard, ['gap', 'gap opened', 'caught up', 'x'])
})

t.test(
  'a Kilo without events is tried for a while; one that does not answer is dead at once',
  async (t) => {
    await t.test('without events', async (t) => {
      const it = await given(t, { silenceMs: 2000, renewMs: 1500 })
      const since = performance.now()
      it.answer(503)
      it.cut()
      await it.until('dead')
      t.ok(performance.now() - since >= 1500)
    })
    await t.test('without anything', async (t) => {
      const it = await given(t)
      it.sicken()
      it.cut()
      await it.until('dead')
      t.same(it.heard, ['gap opened', 'dead'])
    })
  }
)
