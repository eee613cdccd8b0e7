import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { createEmbeddedBus } from '../../../src/adapters/embedded/bus.ts'
import { createEmbeddedLock } from '../../../src/adapters/embedded/lock.ts'
import { createEventLog, createFeed } from '#events'
import { systemClock } from '#kernel/clock.ts'
import type { Draft, Frame } from '#kernel/frames.ts'
import { within } from '#kernel/waiting.ts'
import { historyOf } from '#ports/bus.ts'
import { givenProject } from '../../contracts/project-lock.ts'
import { openTestDatabase } from '../../helpers/database.ts'

const says = (text: string): Draft => ({
  type: 'job:log',
  data: { source: 'assistant', partId: 'prt_1', text }
})
const never = new AbortController().signal
const textOf = (frame: Frame) => (frame.data as { text: string }).text

async function given(t: { teardown(close: () => Promise<void>): void }) {
  const db = await openTestDatabase(t)
  const bus = createEmbeddedBus()
  return { db, bus, log: createEventLog(db, bus), feed: createFeed(db, bus) }
}

t.test('frames get seqs from 1 without a gap, however many writers are concurrent', async (t) => {
  const { db, log, feed } = await given(t)
  const projectId = await givenProject(db)
  const place = { projectId, jobId: null }

  await Promise.all(
    Array.from({ length: 40 }, (_, n) => log.record(place, [says(`${n}a`), says(`${n}b`)]))
  )
  const frames = await feed.page(projectId, { after: 0, limit: 100 })
  t.same(
    frames.map((frame) => frame.seq),
    Array.from({ length: 80 }, (_, n) => n + 1)
  )
  t.same(await feed.reach(projectId), { lastSeq: 80, oldestSeq: 1 })
})

t.test('a text comes back as it was, without what strict readers refuse', async (t) => {
  const { db, log, feed } = await given(t)
  const projectId = await givenProject(db)
  const hostile = ['\u0000', '\ud83d', '\udc4d', '👍', '"\\\n\u2028', '']
  await log.record({ projectId, jobId: null }, hostile.map(says))
  const frames = await feed.page(projectId, { after: 0, limit: 10 })
  t.same(frames.map(textOf), ['\ufffd', '\ufffd', '\ufffd', ...hostile.slice(3)])

  const input = { 'a\0': ['\ud83d', { path: '\\u0000' }, 7, null] }
  const tool = { callId: 'prt_1', tool: 'x', status: 'running', title: 'x\udc4d', input } as const
  await log.record({ projectId, jobId: null }, [{ type: 'job:tool', data: tool }])
  const [frame] = await feed.page(projectId, { after: hostile.length, limit: 10 })
  t.match(frame?.data, {
    title: 'x\ufffd',
    input: { 'a\ufffd': ['\ufffd', { path: '\\u0000' }, 7, null] }
  })
})

t.test('a writer whose lease has been overtaken writes nothing', async (t) => {
  const { db, log, feed } = await given(t)
  const projectId = await givenProject(db)
  const lock = createEmbeddedLock(db, systemClock)
  const stale = await lock.acquire(projectId)
  await stale?.[Symbol.asyncDispose]()
  await using fresh = await lock.acquire(projectId)

  await t.rejects(log.record({ projectId, jobId: null, token: stale!.token }, [says('late')]), {
    code: 'lease_lost'
  })
  await log.record({ projectId, jobId: null, token: fresh!.token }, [says('in time')])
  const frames = await feed.page(projectId, { after: 0, limit: 10 })
  t.same(frames.map(textOf), ['in time'])
})

t.test('a follower gets history and live frames without a gap, and stops on abort', async (t) => {
  const { db, log, feed } = await given(t)
  const projectId = await givenProject(db)
  const place = { projectId, jobId: null }
  for (let n = 1; n <= 3; n += 1) await log.record(place, [says(`${n}`)])

  const gone = new AbortController()
  const seen: string[] = []
  const following = (async () => {
    for await (const frame of feed.follow(projectId, { after: 1 }, gone.signal)) {
      seen.push(textOf(frame))
      if (seen.length === 4) gone.abort()
    }
  })()
  await log.record(place, [says('4')])
  await log.record(place, [says('5')])
  await following
  t.same(seen, ['2', '3', '4', '5'])
})

t.test('a follower whose bell is broken sees everything, a little later', async (t) => {
  const { db } = await given(t)
  const deaf = { ring() {}, listen: () => () => {} }
  const log = createEventLog(db, deaf)
  const projectId = await givenProject(db)
  const following = createFeed(db, deaf).follow(projectId, { after: 0 }, never)
  const first = following.next()
  await log.record({ projectId, jobId: null }, [says('unheard')])
  const { value } = await first
  t.equal(value && textOf(value), 'unheard')
  const second = following.next()
  // Waiting by now: nothing but its own look tells it.
  await sleep(100)
  await log.record({ projectId, jobId: null }, [says('also')])
  const late = await within(second, 30_000)
  t.equal(late?.value && textOf(late.value), 'also')
  await following.return(undefined)
})

t.test('when the bell rings the row is there', async (t) => {
  const { db, bus, log } = await given(t)
  const projectId = await givenProject(db)
  const found: Promise<number>[] = []
  t.teardown(
    bus.listen(historyOf(projectId), () => {
      const rows = db.selectFrom('project_events').select('seq').where('project_id', '=', projectId)
      found.push(rows.execute().then(({ length }) => length))
    })
  )
  await log.record({ projectId, jobId: null }, [says('one')])
  await log.record({ projectId, jobId: null }, [says('two'), says('three')])
  t.same(await Promise.all(found), [1, 3])
})

t.test('a follower that waits is woken by the end of its signal', async (t) => {
  const { db, feed } = await given(t)
  const projectId = await givenProject(db)
  const gone = new AbortController()
  const following = feed.follow(projectId, { after: 0 }, gone.signal).next()
  setTimeout(() => gone.abort(), 20)
  t.same(await following, { done: true, value: undefined })
})

t.test('a page is filtered by type and by job', async (t) => {
  const { db, log, feed } = await given(t)
  const projectId = await givenProject(db)
  await log.record({ projectId, jobId: null }, [
    says('one'),
    { type: 'job:todo', data: { items: [] } },
    says('two')
  ])
  const page = await feed.page(projectId, { after: 0, limit: 10, types: ['job:todo'] })
  t.same(
    page.map((frame) => frame.seq),
    [2]
  )
})
