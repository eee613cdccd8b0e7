import { EventSourceParserStream, type EventSourceMessage } from 'eventsource-parser/stream'
import t, { type Test } from 'tap'
import type { Draft } from '#kernel/frames.ts'
import type { JobId, ProjectId } from '#kernel/ids.ts'
import { until } from '../../../helpers/patience.ts'
import { givenDoors, type Doors, type Person } from '../given-doors.ts'
import { listen } from './given-socket.ts'

const piece = (text: string): Draft => ({
  type: 'job:log',
  data: { source: 'assistant', partId: 'p', text }
})
const end: Draft = {
  type: 'job:error',
  data: {
    code: 'cancelled',
    message: '',
    retryable: true,
    credits: { reserved: 0, charged: 0, refunded: 0 },
    branch: null
  }
}

async function given(t: Test, more: Parameters<typeof givenDoors>[1] = {}) {
  const doors = await givenDoors(t, more)
  const ada = await doors.person()
  const id = (await ada.project()) as ProjectId
  const { body } = await ada.call('POST', `/projects/${id}/ai-command`, { text: 'hi' })
  const jobId = body.jobId as JobId
  const record = (...drafts: Draft[]) => doors.events.record({ projectId: id, jobId }, drafts)
  return { doors, ada, id, jobId, record }
}

interface Stream {
  readonly status: number
  /** The next event, or undefined at the end. */
  next(): Promise<EventSourceMessage | undefined>
  take(count: number): Promise<EventSourceMessage[]>
  comments: string[]
}

async function follow(
  t: Test,
  url: string,
  { key }: Person,
  path: string,
  headers: Record<string, string> = {}
): Promise<Stream> {
  const leaving = new AbortController()
  t.teardown(() => leaving.abort())
  const answer = await fetch(url + path, {
    signal: leaving.signal,
    headers: { authorization: `Bearer ${key}`, accept: 'text/event-stream', ...headers }
  })
  const comments: string[] = []
  const events = answer.body
    ?.pipeThrough(new TextDecoderStream())
    .pipeThrough(new EventSourceParserStream({ onComment: (text) => comments.push(text) }))
    .getReader()
  const next = async () => (await events?.read())?.value
  return {
    status: answer.status,
    comments,
    next,
    async take(count) {
      const taken = []
      for (let n = 0; n < count; n++) taken.push((await next())!)
      return taken
    }
  }
}

const frameOf = (event: EventSourceMessage | undefined) => JSON.parse(event?.data ?? 'null')

t.test('returns history in pages', async (t) => {
  const { ada, id, jobId, record, doors } = await given(t)
  await record(piece('a'), piece('b'), piece('c'))
  await doors.events.record({ projectId: id, jobId: null }, [piece('of no job')])
  const page = (query: string) => ada.call('GET', `/projects/${id}/events?${query}`)
  const seqs = ({ body }: { body: any }) => body.items.map(({ seq }: { seq: number }) => seq)

  t.same(seqs(await page('')), [1, 2, 3, 4, 5])
  const first = await page('limit=2')
  t.match(first.body, { items: [{ type: 'job:queued', v: 1, jobId }, {}], nextCursor: '2' })
  t.same(seqs(await page('after=2&limit=2')), [3, 4])
  t.same(seqs(await page('cursor=2&limit=2')), [3, 4])
  const last = await page('after=4&limit=2')
  t.same([seqs(last), last.body.nextCursor], [[5], null])
  t.match((await page('after=99')).body, { items: [], nextCursor: null, lastSeq: 5 })
  t.match(await page('after=1&cursor=1'), { status: 400, body: { code: 'invalid_request' } })
  t.match((await page('after=-1')).body.detail, 'query/after must be >= 0')
  t.same(seqs(await page('types=job:queued,job:success')), [1])
  t.same(seqs(await ada.call('GET', `/jobs/${jobId}/events?after=1`)), [2, 3, 4])
  for (const bad of ['types=job:dance', 'types=', 'after=-1', 'after=x', 'limit=0', 'after=1e3']) {
    t.match(await page(bad), { status: 400, body: { code: 'invalid_request' } }, bad)
  }
})

t.test('streams the history of a project, then its live frames', async (t) => {
  const { doors, ada, id, record } = await given(t)
  const url = await listen(doors.app)
  await record(piece('a'))
  const stream = await follow(t, url, ada, `/projects/${id}/events`)
  const [queued, a] = await stream.take(2)
  t.match(queued, { id: '1', event: 'job:queued' })
  const { body } = await ada.call('GET', `/projects/${id}/events`)
  t.same([queued, a].map(frameOf), body.items, 'the same frames as in a page')

  await record(piece('b'), piece('c'))
  t.match(await stream.take(2), [{ id: '3' }, { id: '4' }])
})

t.test('a stream resumes after Last-Event-ID, whatever its query has', async (t) => {
  const { doors, ada, id, record } = await given(t)
  const url = await listen(doors.app)
  await record(piece('a'), piece('b'), piece('c'))
  const path = `/projects/${id}/events?after=1`
  const resumed = await follow(t, url, ada, path, { 'last-event-id': '3' })
  t.match(await resumed.next(), { id: '4' })
  const fresh = await follow(t, url, ada, path)
  t.match(await fresh.next(), { id: '2' })
  const chosen = await follow(t, url, ada, `/projects/${id}/events?types=job:queued`)
  t.match(await chosen.next(), { id: '1' })
  for (const bad of ['x', '-1', '99999999999999999']) {
    const { status } = await follow(t, url, ada, path, { 'last-event-id': bad })
    t.equal(status, 400, bad)
  }
})

t.test('a stream whose cursor has expired gets one resync, and is live afterwards', async (t) => {
  const { doors, ada, id, record } = await given(t)
  const url = await listen(doors.app)
  await record(piece('a'), piece('b'), piece('c'))
  await doors.db.deleteFrom('project_events').where('seq', '<=', '2').execute()
  const stream = await follow(t, url, ada, `/projects/${id}/events`, { 'last-event-id': '1' })
  const resync = await stream.next()
  t.equal(resync?.event, 'resync')
  t.equal(resync?.id, '4', 'the cursor from which it continues')
  t.match(frameOf(resync), { type: 'resync', data: { oldestSeq: 3 } })
  await record(piece('d'))
  t.match(await stream.next(), { id: '5' })
})

t.test('a job’s stream ends with the job, also when it is filtered by type', async (t) => {
  const { doors, ada, id, jobId, record } = await given(t)
  const url = await listen(doors.app)
  const all = await follow(t, url, ada, `/jobs/${jobId}/events`)
  const logs = await follow(t, url, ada, `/jobs/${jobId}/events?types=job:log`)
  await record(piece('a'))
  await doors.events.record({ projectId: id, jobId: null }, [piece('of no job')])
  await record(end)
  t.match(await all.take(3), [{ id: '1' }, { id: '2' }, { id: '4', event: 'job:error' }])
  t.equal(await all.next(), undefined)
  t.match(await logs.next(), { id: '2' })
  t.equal(await logs.next(), undefined)

  const late = await follow(t, url, ada, `/jobs/${jobId}/events?after=2`)
  t.match(await late.next(), { id: '4' })
  t.equal(await late.next(), undefined)
  const over = await follow(t, url, ada, `/jobs/${jobId}/events`, { 'last-event-id': '4' })
  t.equal(over.status, 204, 'an EventSource that gets 204 does not reconnect')
})

t.test('sends heartbeats on a silent stream', async (t) => {
  const { doors, ada, id } = await given(t, { timings: { heartbeatMs: 20 } })
  const url = await listen(doors.app)
  const stream = await follow(t, url, ada, `/projects/${id}/events`)
  await stream.next()
  stream.next().catch(() => {})
  await until('three heartbeats', () => stream.comments.length >= 3)
  t.match(stream.comments, ['heartbeat', 'heartbeat', 'heartbeat'])
})

t.test('stops the heartbeats of a stream that its client has left', async (t) => {
  const { doors, ada, id } = await given(t)
  const url = await listen(doors.app)
  const before = timers()
  for (let n = 0; n < 10; n++) {
    const leaving = new AbortController()
    const answer = await fetch(`${url}/projects/${id}/events`, {
      signal: leaving.signal,
      headers: { authorization: `Bearer ${ada.key}`, accept: 'text/event-stream' }
    })
    await answer.body?.getReader().read()
    leaving.abort()
  }
  await until('the end of their heartbeats', () => timers() <= before + 3)
  t.pass('no timer is left')
})

const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length

t.test('a client that reads nothing delays no other client', async (t) => {
  const { doors, ada, id, record } = await given(t)
  const url = await listen(doors.app)
  const path = `/projects/${id}/events?after=1`
  const slow = await follow(t, url, ada, path)
  const quick = await follow(t, url, ada, path)
  const text = 'x'.repeat(200_000)
  for (let n = 0; n < 40; n++) await record(piece(text))
  t.equal((await quick.take(40)).length, 40)
  t.match((await slow.take(40)).at(-1), { id: '41' }, 'it gets every frame when it reads')
})

t.test('streams end when the server stops', async (t) => {
  const { doors, ada, id } = await given(t)
  const stream = await follow(t, await listen(doors.app), ada, `/projects/${id}/events`)
  await stream.next()
  doors.stop.abort()
  t.equal(await stream.next(), undefined)
})

t.test('refuses a stream for HEAD and for other users', async (t) => {
  const { doors, ada, id, jobId } = await given(t)
  const bob: Person = await doors.person(0)
  const accept = { accept: 'text/event-stream' }
  for (const path of [`/projects/${id}/events`, `/jobs/${jobId}/events`]) {
    t.equal((await bob.call('GET', path, undefined, accept)).status, 404)
    t.equal((await ada.call('HEAD', path, undefined, accept)).status, 405)
  }
  t.ok(doors satisfies Doors)
})
