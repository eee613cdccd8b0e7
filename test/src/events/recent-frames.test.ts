import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { createEmbeddedBus } from '../../../src/adapters/embedded/bus.ts'
import { createEventLog, createFeed, createRecentFrames } from '#events'
import { eventId, projectId as projectIds } from '#kernel/ids.ts'
import type { Draft, Frame } from '#kernel/frames.ts'
import { givenProject } from '../../contracts/project-lock.ts'
import { openTestDatabase } from '../../helpers/database.ts'

const says = (text: string): Draft => ({
  type: 'job:log',
  data: { source: 'assistant', partId: 'prt_1', text }
})
const project = projectIds.create()
const numbered = (...seqs: number[]): Frame[] =>
  seqs.map((seq) => ({
    v: 1,
    type: 'job:log',
    id: eventId.create(),
    projectId: project,
    jobId: null,
    seq,
    ts: new Date(0).toISOString(),
    data: {}
  }))
const seqsOf = (frames: readonly Frame[] | undefined) => frames?.map(({ seq }) => seq)

t.test('only frames of a followed project are kept, and only while it is followed', async (t) => {
  const recent = createRecentFrames()
  recent.add(project, numbered(1), 10)
  t.equal(recent.after(project, 0), undefined)
  const [one, other] = [recent.keep(project), recent.keep(project)]
  recent.add(project, numbered(2, 3), 10)
  one[Symbol.dispose]()
  t.same(seqsOf(recent.after(project, 1)), [2, 3])
  t.same(seqsOf(recent.after(project, 2)), [3])
  t.equal(recent.after(project, 0), undefined, 'frame 1 has to be read')
  t.equal(recent.after(project, 3), undefined, 'the next frame may be of another process')
  other[Symbol.dispose]()
  t.equal(recent.after(project, 1), undefined)
})

t.test('what is kept has no gap, in whatever order writers add', async (t) => {
  const recent = createRecentFrames()
  using _kept = recent.keep(project)
  recent.add(project, numbered(1, 2), 10)
  recent.add(project, numbered(5), 10)
  t.equal(recent.after(project, 2), undefined)
  t.same(seqsOf(recent.after(project, 4)), [5])
  recent.add(project, numbered(3, 4), 10)
  t.same(seqsOf(recent.after(project, 2)), [3, 4])
  recent.add(project, numbered(5), 10)
  t.same(seqsOf(recent.after(project, 2)), [3, 4, 5])
})

t.test('what is kept is bounded in frames and in bytes', async (t) => {
  const recent = createRecentFrames()
  using _kept = recent.keep(project)
  for (let seq = 1; seq <= 1000; seq += 1) recent.add(project, numbered(seq), 10)
  t.same(recent.after(project, 999 - 63)?.length, 64)
  t.equal(recent.after(project, 999 - 64), undefined)
  recent.add(project, numbered(1001), 1e6)
  t.equal(recent.after(project, 1000), undefined)
})

t.test('a follower receives the frames that a reader of the rows reads', async (t) => {
  const db = await openTestDatabase(t)
  const bus = createEmbeddedBus()
  const projectId = await givenProject(db)
  const recent = createRecentFrames()
  let handedOver = 0
  const log = createEventLog(db, bus, recent)
  const feed = createFeed(db, bus, {
    keep: recent.keep,
    after(project, seq) {
      const frames = recent.after(project, seq)
      handedOver += frames?.length ?? 0
      return frames
    }
  })
  const following = feed.follow(projectId, { after: 0 }, AbortSignal.timeout(30_000))
  const received: Frame[] = []
  const reading = (async () => {
    for await (const frame of following) if (received.push(frame) === 22) return
  })()
  // By now it has read the empty history and waits.
  await sleep(50)
  for (let n = 0; n < 10; n += 1)
    await log.record({ projectId, jobId: null }, [says('a'), says('\ud83d')])
  const withoutBell = createEventLog(db, { ring() {}, listen: () => () => {} })
  await withoutBell.record({ projectId, jobId: null }, [says('of another process')])
  await log.record({ projectId, jobId: null }, [says('after it')])
  await reading
  t.same(received, await feed.page(projectId, { after: 0, limit: 100 }))
  t.ok(handedOver >= 20, `${handedOver} frames were handed over`)
})
