import t, { type Test } from 'tap'
import { projectId as projectIds, type ProjectId } from '#kernel/ids.ts'
import { givenDoors, type Doors, type Person } from '../given-doors.ts'
import { listen, openSocket, refusal, type Socket } from './given-socket.ts'
import { readElsewhere } from './reader-elsewhere.ts'

const bearer = ({ key }: Person) => ({ headers: { authorization: `Bearer ${key}` } })

/** A project with so many frames of history, and its owner. */
async function givenHistory(t: Test, frames: number, more: Parameters<typeof givenDoors>[1] = {}) {
  const doors = await givenDoors(t, more)
  const ada = await doors.person()
  const id = (await ada.project()) as ProjectId
  const url = await listen(doors.app)
  const write = (count: number) => writeFrames(doors, id, count)
  await write(frames)
  return { doors, ada, id, url, write }
}

async function writeFrames({ events }: Doors, projectId: ProjectId, count: number, text = 'x') {
  for (let n = 0; n < count; n++) {
    const data = { source: 'assistant', partId: 'p', text } as const
    await events.record({ projectId, jobId: null }, [{ type: 'job:log', data }])
  }
}

const seqs = (socket: Socket) => socket.seen.flatMap(({ seq }) => (seq === undefined ? [] : [seq]))

async function until(socket: Socket, seq: number): Promise<number[]> {
  while (!seqs(socket).includes(seq)) await socket.next()
  return seqs(socket)
}

t.test('hello, snapshot, what was missed, then what happens', async (t) => {
  const { doors, ada, id, url, write } = await givenHistory(t, 5)
  const { body: job } = await ada.call('POST', `/projects/${id}/ai-command`, { text: 'hi' })
  const socket = await openSocket(t, url, bearer(ada))
  socket.say({ type: 'subscribe', projectId: id, after: 2 })

  const hello = await socket.next()
  t.match(hello, { v: 1, type: 'hello', data: { protocol: 'kilowatt.v1', heartbeatMs: 15_000 } })
  const snapshot = await socket.next()
  t.match(snapshot, {
    type: 'snapshot',
    projectId: id,
    data: {
      seq: 6,
      project: { id, head: /^[0-9a-f]{40}$/ },
      jobs: [{ id: job.jobId, status: 'queued' }],
      pending: { permissions: [], questions: [] },
      balance: 990
    }
  })
  t.notOk('seq' in hello || 'seq' in snapshot, 'they are not history')
  t.same(await until(socket, 6), [3, 4, 5, 6])

  await write(3)
  t.same(await until(socket, 9), [3, 4, 5, 6, 7, 8, 9])
  const page = await ada.call('GET', `/projects/${id}/events?after=2`)
  const frames = socket.seen.filter(({ seq }) => seq !== undefined)
  t.same(frames, page.body.items, 'the same frames as in a JSON page')
  t.equal(doors.deps.metrics.getSingleMetric('kilowatt_sockets') !== undefined, true)
})

t.test('without a place only what happens from now on', async (t) => {
  const { ada, id, url, write } = await givenHistory(t, 4)
  const socket = await openSocket(t, url, bearer(ada))
  socket.say({ type: 'subscribe', projectId: id })
  t.equal((await socket.next('snapshot')).data.seq, 4)
  await write(2)
  t.same(await until(socket, 6), [5, 6])
})

t.test('who comes back with a place misses nothing and sees nothing twice', async (t) => {
  const { ada, id, url, doors } = await givenHistory(t, 0)
  const writing = writeFrames(doors, id, 120)
  const all: number[] = []
  while (all.length < 120) {
    const socket = await openSocket(t, url, bearer(ada))
    socket.say({ type: 'subscribe', projectId: id, after: all.at(-1) ?? 0 })
    await until(socket, Math.min(all.length + 7, 120))
    all.push(...seqs(socket))
    socket.ws.terminate()
  }
  await writing
  t.same(
    all,
    Array.from({ length: 120 }, (_, n) => n + 1)
  )
})

for (const [says, after] of [
  ['one that history no longer reaches', 1],
  ['one that was never given out', 99]
] as const) {
  t.test(`a place: ${says} gives one resync, then live`, async (t) => {
    const { doors, ada, id, url, write } = await givenHistory(t, 6)
    await doors.db.deleteFrom('project_events').where('seq', '<=', '3').execute()
    const socket = await openSocket(t, url, bearer(ada))
    socket.say({ type: 'subscribe', projectId: id, after })

    t.match(await socket.next('resync'), { projectId: id, data: { oldestSeq: 4 } })
    await write(1)
    t.same(await until(socket, 7), [7])
    t.equal(socket.seen.filter(({ type }) => type === 'resync').length, 1)
  })
}

t.test('the oldest place that history reaches is no resync', async (t) => {
  const { doors, ada, id, url } = await givenHistory(t, 6)
  await doors.db.deleteFrom('project_events').where('seq', '<=', '3').execute()
  const socket = await openSocket(t, url, bearer(ada))
  socket.say({ type: 'subscribe', projectId: id, after: 3 })
  t.same(await until(socket, 6), [4, 5, 6])
  t.notOk(socket.seen.some(({ type }) => type === 'resync'))
})

t.test('many projects on one socket, left one by one', async (t) => {
  const { doors, ada, id, url } = await givenHistory(t, 1)
  const other = (await ada.project()) as ProjectId
  const socket = await openSocket(t, url, bearer(ada))
  socket.say({ type: 'subscribe', projectId: id, after: 0 })
  socket.say({ type: 'subscribe', projectId: other, after: 0 })
  await socket.next('snapshot')
  await socket.next('snapshot')
  socket.say({ type: 'unsubscribe', projectId: id })
  socket.say({ type: 'ping' })
  await socket.next('pong')
  await writeFrames(doors, id, 1)
  await writeFrames(doors, other, 1)
  const frame = await socket.next('job:log')
  const last = frame.projectId === id ? await socket.next('job:log') : frame
  t.match(last, { projectId: other, seq: 1 })
  t.same(
    socket.seen
      .filter((one) => one.projectId === id && one.seq !== undefined)
      .map((one) => one.seq),
    [1],
    'nothing of it after it was left'
  )
})

t.test('a ticket opens one socket, once, for one project', async (t) => {
  const { ada, id, url } = await givenHistory(t, 2)
  const other = await ada.project()
  const ticketFor = async (projectId: string) =>
    (await ada.call('POST', '/ws-tickets', { projectId })).body.ticket as string

  const ticket = await ticketFor(id)
  const socket = await openSocket(t, url, { path: `/ws?ticket=${ticket}` })
  socket.say({ type: 'subscribe', projectId: id, after: 0 })
  t.same(await until(socket, 2), [1, 2])
  const again = await refusal(openSocket(t, url, { path: `/ws?ticket=${ticket}` }))
  t.equal(again.status, 401)

  const narrow = await openSocket(t, url, { path: `/ws?ticket=${await ticketFor(id)}` })
  narrow.say({ type: 'subscribe', projectId: other })
  t.match(await narrow.closed(), { code: 4003 })
})

t.test('answers 404 for the project of another user', async (t) => {
  const { doors, id, url } = await givenHistory(t, 1)
  const bob = await doors.person()
  for (const projectId of [id, projectIds.create(), 'nonsense', `${id}\0`]) {
    const socket = await openSocket(t, url, bearer(bob))
    socket.say({ type: 'subscribe', projectId })
    t.match(await socket.closed(), { code: 4004 })
    t.notOk(socket.seen.some(({ type }) => type === 'snapshot'))
  }
})

t.test('what is not a message is complained about, and the socket lives on', async (t) => {
  const { ada, url, id } = await givenHistory(t, 0)
  const socket = await openSocket(t, url, bearer(ada))
  const types = 'subscribe, unsubscribe, ping'
  for (const [sent, message] of [
    ['{', 'message is not JSON'],
    ['[]', 'message must be object'],
    ['null', 'message must be object'],
    ['{}', 'message is missing type'],
    ['{"type":"dance"}', `message/type must be one of ${types}`],
    ['{"type":"constructor"}', `message/type must be one of ${types}`],
    ['{"type":"subscribe"}', 'message is missing projectId'],
    ['{"type":"unsubscribe"}', 'message is missing projectId'],
    [{ type: 'subscribe', projectId: id, after: -1 }, 'message/after must be >= 0'],
    [{ type: 'subscribe', projectId: id, after: '1' }, 'message/after must be integer']
  ] as const) {
    socket.say(sent)
    const { data } = await socket.next('error')
    t.match(data, { code: 'invalid_request', message }, JSON.stringify(sent))
    if (sent !== '{') t.equal(`${data.errors[0].path} ${data.errors[0].message}`, message)
  }
  for (const named of ['mine', 7]) {
    socket.say({ type: 'subscribe', projectId: id, after: -1, id: named })
    t.match(await socket.next('error'), { projectId: id, data: { id: named } })
  }
  socket.say({ type: 'subscribe', projectId: 1, after: -1 })
  t.match((await socket.next('error')).data.errors, [
    { path: 'message/projectId' },
    { path: 'message/after' }
  ])
  socket.ws.send(Buffer.from([1, 2, 3]))
  t.match(await socket.next('error'), { data: { message: 'message must be text' } })
  socket.say({ type: 'ping', unknown: 'field' })
  await socket.next('pong')

  socket.say('x'.repeat(64 * 1024 + 1))
  t.match(await socket.closed(), { code: 1009 })
})

t.test('a socket that follows nothing is closed', async (t) => {
  const { ada, url } = await givenHistory(t, 0, { timings: { handshakeMs: 50 } })
  const socket = await openSocket(t, url, bearer(ada))
  t.match(await socket.closed(), { code: 4008 })
})

t.test('heartbeats say how far each subscription has come', async (t) => {
  const { ada, url, id, write } = await givenHistory(t, 3, { timings: { heartbeatMs: 30 } })
  const socket = await openSocket(t, url, bearer(ada))
  socket.say({ type: 'subscribe', projectId: id })
  t.match(await socket.next('heartbeat'), { projectId: id, data: { projectId: id, lastSeq: 3 } })
  await write(2)
  for (;;) {
    const { data } = await socket.next('heartbeat')
    if (data.lastSeq === 5) break
  }
  t.pass('and grow with it')
})

t.test('a project that is removed takes its sockets with it', async (t) => {
  const { ada, url, id } = await givenHistory(t, 1, { timings: { heartbeatMs: 30 } })
  const socket = await openSocket(t, url, bearer(ada))
  socket.say({ type: 'subscribe', projectId: id })
  await socket.next('heartbeat')
  t.equal((await ada.call('DELETE', `/projects/${id}`)).status, 204)
  t.match(await socket.closed(), { code: 4004 })
})

t.test('a project that is removed leaves the others of its socket', async (t) => {
  const { ada, url, id } = await givenHistory(t, 1, { timings: { heartbeatMs: 30 } })
  const { body: other } = await ada.call('POST', '/projects', { name: 'other' })
  const socket = await openSocket(t, url, bearer(ada))
  for (const projectId of [id, other.id]) socket.say({ type: 'subscribe', projectId })
  await socket.next('heartbeat')
  socket.say({ type: 'subscribe', projectId: projectIds.create(), id: 1 })
  t.match(await socket.next('error'), { data: { code: 'not_found', id: 1 } })
  t.equal((await ada.call('DELETE', `/projects/${id}`)).status, 204)
  t.match(await socket.next('error'), { projectId: id, data: { code: 'not_found' } })
  for (let heartbeats = 0; heartbeats < 3;) {
    const { projectId } = await socket.next('heartbeat')
    if (projectId === other.id) heartbeats += 1
  }
  t.equal((await ada.call('DELETE', `/projects/${other.id}`)).status, 204)
  t.match(await socket.closed(), { code: 4004 })
})

t.test('closes a socket that answers no ping, and keeps one that does', async (t) => {
  const timings = { heartbeatMs: 200, silenceMs: 2000 }
  const { ada, url, id } = await givenHistory(t, 0, { timings })
  const silent = await openSocket(t, url, { ...bearer(ada), autoPong: false })
  const lively = await openSocket(t, url, bearer(ada))
  silent.say({ type: 'subscribe', projectId: id })
  lively.say({ type: 'subscribe', projectId: id })
  t.match(await silent.closed(), { code: 1006 })
  t.equal(lively.ws.readyState, lively.ws.OPEN)
  lively.say({ type: 'ping' })
  await lively.next('pong')
})

t.test('one slow reader is closed with 1013, and the others notice nothing', async (t) => {
  const timings = { stallMs: 1000 }
  const { doors, ada, url, id } = await givenHistory(t, 0, { timings })
  const slow = await openSocket(t, url, bearer(ada))
  const quick = await openSocket(t, url, bearer(ada))
  for (const socket of [slow, quick]) {
    socket.say({ type: 'subscribe', projectId: id, after: 0 })
    await socket.next('snapshot')
  }
  slow.ws.pause()
  const count = 60
  await writeFrames(doors, id, count, 'x'.repeat(200_000))
  t.equal((await until(quick, count)).length, count)

  // It reads on, much later, and finds the close behind what had been sent.
  await new Promise((resolve) => setTimeout(resolve, 3000))
  slow.ws.resume()
  t.match(await slow.closed(), { code: 1013 })
  const came = seqs(slow)
  t.ok(came.length < count, `${came.length} of ${count} frames came before it`)

  const back = await openSocket(t, url, bearer(ada))
  back.say({ type: 'subscribe', projectId: id, after: came.at(-1) })
  await until(back, count)
  t.same(
    [...came, ...seqs(back)],
    Array.from({ length: count }, (_, n) => n + 1),
    'and misses nothing'
  )
})

t.test('a server that was busy for long does not blame its readers', async (t) => {
  const timings = { stallMs: 800, heartbeatMs: 100, silenceMs: 900 }
  const { doors, ada, url, id } = await givenHistory(t, 0, { timings })
  const reader = readElsewhere(t, { url: url.replace('http', 'ws'), key: ada.key, projectId: id })
  await reader.began
  for (let round = 1; round <= 5; round++) {
    await writeFrames(doors, id, 20, 'x'.repeat(200_000))
    const busyUntil = performance.now() + 1000
    while (performance.now() < busyUntil);
    t.equal(await reader.until(round * 20), String(round * 20))
  }
})

t.test('many subscriptions of one socket share its room', async (t) => {
  const { ada, url } = await givenHistory(t, 0)
  const socket = await openSocket(t, url, bearer(ada))
  const projects = await Promise.all(Array.from({ length: 8 }, () => ada.project()))
  // Asked for a hundred times, each is answered by its last snapshot at least.
  for (let round = 0; round < 12; round++) {
    for (const projectId of projects) socket.say({ type: 'subscribe', projectId, after: 0 })
  }
  const shown = new Set<string>()
  while (shown.size < projects.length) shown.add((await socket.next('snapshot')).projectId!)
  socket.say({ type: 'ping' })
  await socket.next('pong')
  t.equal(socket.ws.readyState, socket.ws.OPEN)
})

t.test('a long history comes whole to a reader who takes it', async (t) => {
  const { doors, ada, url, id } = await givenHistory(t, 0)
  await writeFrames(doors, id, 40, 'x'.repeat(200_000))
  const socket = await openSocket(t, url, bearer(ada))
  socket.say({ type: 'subscribe', projectId: id, after: 0 })
  t.equal((await until(socket, 40)).length, 40)
})

t.test('no client delays the stop of the server', { timeout: 120_000 }, async (t) => {
  const { doors, ada, url, id } = await givenHistory(t, 0, { timings: { stallMs: 100 } })
  await writeFrames(doors, id, 40, 'x'.repeat(200_000))
  const stalled = await openSocket(t, url, bearer(ada))
  stalled.say({ type: 'subscribe', projectId: id, after: 0 })
  await stalled.next('snapshot')
  stalled.ws.pause()
  const headers = { ...bearer(ada).headers, accept: 'text/event-stream' }
  const stream = await fetch(`${url}/projects/${id}/events`, { headers })
  const idle = await openSocket(t, url, bearer(ada))
  await doors.app.close()
  t.match(await idle.closed(), { code: 1012 }, 'closing is stopping')
  await stream.body?.cancel().catch(() => {})
})

t.test('closes sockets with the code for a reconnect when the server stops', async (t) => {
  const { doors, ada, url, id } = await givenHistory(t, 0)
  const socket = await openSocket(t, url, bearer(ada))
  socket.say({ type: 'subscribe', projectId: id })
  await socket.next('snapshot')
  doors.stop.abort()
  t.match(await socket.closed(), { code: 1012 })
  t.equal((await refusal(openSocket(t, url, bearer(ada)))).status, 503)
})
