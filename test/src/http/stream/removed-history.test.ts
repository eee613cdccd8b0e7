import { EventSourceParserStream } from 'eventsource-parser/stream'
import t, { type Test } from 'tap'
import type { JobId } from '#kernel/ids.ts'
import type { Person } from '../given-doors.ts'
import { bearer, givenHistory, range, seqsOf, until } from './given-history.ts'
import { openSocket } from './given-socket.ts'

/** Server-sent events until `count` have come, or the stream ends; undefined: there is nothing (204). */
async function readStream(
  t: Test,
  url: string,
  { key }: Person,
  count: number,
  headers: Record<string, string> = {},
  isDone: (taken: number, event: { type?: string }) => Promise<boolean> = async () => false
) {
  const leaving = new AbortController()
  t.teardown(() => leaving.abort())
  const answer = await fetch(url, {
    signal: leaving.signal,
    headers: { authorization: `Bearer ${key}`, accept: 'text/event-stream', ...headers }
  })
  if (answer.status === 204) return undefined
  const events = answer
    .body!.pipeThrough(new TextDecoderStream())
    .pipeThrough(new EventSourceParserStream())
    .getReader()
  const taken = []
  while (taken.length < count) {
    const { value } = await events.read()
    if (!value) break
    const event = { id: value.id, type: value.event, ...JSON.parse(value.data) }
    taken.push(event)
    if (await isDone(taken.length, event)) break
  }
  leaving.abort()
  return taken
}

/** Of 3,000 such frames more is left to send than the kernel takes for a reader that takes nothing (5 MB here). */
const BIG = 'x'.repeat(10_000)

t.test(
  'a socket whose history is removed while it catches up gets one resync, and continues',
  async (t) => {
    // The client reads nothing during the sweep, which may take longer than the default timeouts.
    const timings = { stallMs: 60_000, heartbeatMs: 600_000, silenceMs: 1_200_000 }
    const { ada, id, url, write, sweep } = await givenHistory(t, 0, { timings })
    await write(3000, BIG)
    const socket = await openSocket(t, url, bearer(ada))
    socket.say({ type: 'subscribe', projectId: id, after: 0 })
    await until(socket, 10)
    socket.ws.pause()
    t.equal(await sweep(), 2999)
    socket.ws.resume()
    await socket.next('resync')
    await write(2)
    await until(socket, 3002)

    const types = socket.seen.map(({ type }) => type).filter((type) => type !== 'job:log')
    t.same(types, ['hello', 'snapshot', 'snapshot', 'resync'], 'as if it had subscribed again')
    const before = seqsOf(socket).slice(0, -2)
    t.ok(before.length < 3000, `${before.length} frames came before it`)
    t.same(before, range(1, before.length), 'and none is missing')
    t.same(seqsOf(socket).slice(-2), [3001, 3002])
    const [, second] = socket.seen.filter(({ type }) => type === 'snapshot')
    t.equal(second?.data.seq, 3000, 'it continues from the new snapshot')
    const { oldestSeq, lastSeq } = socket.seen.find(({ type }) => type === 'resync')!.data
    t.equal(lastSeq, 3000)
    // It may have noticed while the sweep, which goes in batches, was still at work.
    t.ok(before.length + 1 < oldestSeq && oldestSeq <= lastSeq, `the oldest was then ${oldestSeq}`)
  }
)

t.test('a page reports the oldest and the last seq of the history', async (t) => {
  const { ada, id, write, sweep } = await givenHistory(t, 4)
  const page = async (query: string) =>
    (await ada.call('GET', `/projects/${id}/events${query}`)).body
  t.match(await page(''), { oldestSeq: 1, lastSeq: 4 })
  await sweep()
  await write(2)
  const all = await page('?after=1')
  t.match(all, { oldestSeq: 4, lastSeq: 6, nextCursor: null })
  t.same(
    all.items.map(({ seq }: { seq: number }) => seq),
    [4, 5, 6],
    'the requested frames that are left'
  )
  t.match(
    await page('?after=99'),
    { items: [], oldestSeq: 4, lastSeq: 6 },
    'a cursor of another database'
  )
})

t.test(
  'a stream whose cursor has expired gets one resync, and none after a reconnect',
  async (t) => {
    const { ada, id, url, write, sweep } = await givenHistory(t, 5)
    await sweep()
    await write(1)
    const path = `${url}/projects/${id}/events`
    const [resync] = (await readStream(t, path, ada, 1, { 'last-event-id': '2' }))!
    t.match(resync, { type: 'resync', id: '6', data: { oldestSeq: 5, lastSeq: 6 } })
    await write(2)
    const back = await readStream(t, path, ada, 2, { 'last-event-id': resync!.id })
    t.match(back, [{ seq: 7 }, { seq: 8 }], 'nothing was lost in between')

    const [ahead] = (await readStream(t, path, ada, 1, { 'last-event-id': '99' }))!
    t.match(ahead, { type: 'resync', id: '8' }, 'a cursor of another database')
    const fresh = await readStream(t, path, ada, 2)
    t.match(fresh, [{ seq: 5 }, { seq: 6 }], 'without a cursor it begins with the oldest frame')
  }
)

t.test('a stream whose history is removed while it catches up gets one resync', async (t) => {
  const { ada, id, url, write, sweep } = await givenHistory(t, 0)
  await write(3000, BIG)
  const path = `${url}/projects/${id}/events?after=0`
  let resyncAt = Infinity
  const seen = (await readStream(t, path, ada, 3002, {}, async (taken, { type }) => {
    if (taken === 10) await sweep()
    if (type !== 'resync') return taken > resyncAt
    resyncAt = taken
    await write(1)
    return false
  }))!
  const before = seen.slice(0, resyncAt - 1)
  t.ok(before.length < 3000, `${before.length} frames came before it`)
  t.same(
    before.map(({ seq }) => seq),
    range(1, before.length)
  )
  t.match(seen.slice(resyncAt - 1), [{ type: 'resync', id: '3000' }, { seq: 3001 }])
})

t.test(
  'a job without frames: an empty page, 204, and one resync for a stream with a cursor',
  async (t) => {
    const { ada, id, url, write, sweep } = await givenHistory(t, 1)
    const { body } = await ada.call('POST', `/projects/${id}/ai-command`, { text: 'hi' })
    const jobId = body.jobId as JobId
    await write(5, 'x', jobId)
    await ada.call('POST', `/jobs/${jobId}/cancel`)
    await write(1)
    await sweep()
    await write(1)

    const path = `/jobs/${jobId}/events`
    t.match((await ada.call('GET', path)).body, { items: [], nextCursor: null, oldestSeq: /\d/ })
    t.equal(await readStream(t, url + path, ada, 1), undefined, '204: there is nothing to wait for')
    const resynced = await readStream(t, url + path, ada, 9, { 'last-event-id': '3' })
    t.match(resynced, [{ type: 'resync' }], 'a stream with a cursor gets a resync, and ends')
    t.equal(resynced!.length, 1)
    const again = await readStream(t, url + path, ada, 9, { 'last-event-id': resynced![0]!.id })
    t.equal(again, undefined, 'and its reconnect gets 204')
    const { body: job } = await ada.call('GET', `/jobs/${jobId}`)
    t.match(job, { status: 'cancelled' }, 'the job itself is still known')
  }
)
