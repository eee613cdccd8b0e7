import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { createEventLog, createFeed, type EventLog } from '#events'
import { systemClock, type Clock } from '#kernel/clock.ts'
import type { Draft } from '#kernel/frames.ts'
import { LIMITS } from '#kernel/limits.ts'
import { createEmbeddedBus } from '../../../../src/adapters/embedded/bus.ts'
import { createFrameWriter } from '../../../../src/jobs/run/frame-writer.ts'
import { givenProject } from '../../../contracts/project-lock.ts'
import { openTestDatabase } from '../../../helpers/database.ts'

const says = (text: string, partId = 'prt_1'): Draft => ({
  type: 'job:log',
  data: { source: 'assistant', partId, text }
})
const lists: Draft = { type: 'job:todo', data: { items: [] } }
/** Far more than the 50 ms for which text is joined, on any machine. */
const PATIENCE_MS = 20_000

/** A writer in front of the real log, whose batches are kept as they are handed over, and held up while `held` is set. */
async function given(t: Test, clock: Clock = systemClock) {
  const db = await openTestDatabase(t)
  const bus = createEmbeddedBus()
  const log = createEventLog(db, bus)
  const feed = createFeed(db, bus)
  const place = { projectId: await givenProject(db), jobId: null }
  const batches: Draft[][] = []
  const gate: { held?: Promise<unknown> } = {}
  const watched: EventLog = {
    ...log,
    async record(place, drafts) {
      batches.push([...drafts])
      await gate.held
      await log.record(place, drafts)
    }
  }
  const writer = createFrameWriter(watched, place, clock)
  const batch = async (count: number) => {
    const giveUpAt = Date.now() + PATIENCE_MS
    while (batches.length < count && Date.now() < giveUpAt) await sleep(1)
    return batches[count - 1]
  }
  const written = async () => {
    const frames = await feed.page(place.projectId, { after: 0, limit: 1000 })
    return frames.map(({ type, data }) => ({ type, data }))
  }
  return { writer, batches, batch, gate, written }
}

t.test('writes the first piece of a text immediately, and joins the next ones', async (t) => {
  const { writer, batches, batch, written } = await given(t)
  writer.write(says('one '))
  t.same(batches, [[says('one ')]])
  for (const text of ['two ', 'three ', 'four']) writer.write(says(text))
  t.equal(batches.length, 1, 'they wait for more')
  t.same(await batch(2), [says('two three four')])
  await writer.flush()
  t.same(await written(), [says('one '), says('two three four')])
})

t.test('delays a piece that follows another soon for a short time only', async (t) => {
  const { writer, batches, batch } = await given(t)
  for (let round = 1; round <= 3; round++) {
    writer.write(says('one '))
    await writer.flush()
    const before = batches.length
    writer.write(says('two '))
    const begun = performance.now()
    t.same(await batch(before + 1), [says('two ')])
    // Joined for 50 ms: a busy machine may take much longer, but it must not take seconds.
    t.ok(performance.now() - begun < 2000 + LIMITS.logJoinMs)
    await writer.flush()
  }
})

/** No time passes: what may wait does, however long the database took before. */
const still: Clock = { ...systemClock, monotonicMs: () => 0 }

t.test('writes a text that has become long enough without a delay', async (t) => {
  const { writer, batches } = await given(t, still)
  writer.write(says('begin'))
  await writer.flush()
  writer.write(says('x'.repeat(LIMITS.logJoinBytes - 1)))
  t.equal(batches.length, 1)
  writer.write(says('y'))
  t.equal(batches.length, 2, '4 KiB have come together')
  await writer.flush()
})

t.test('writes any other frame immediately, after the text before it', async (t) => {
  const { writer, batches, written } = await given(t, still)
  writer.write(says('begin'))
  await writer.flush()
  writer.write(says('a thought', 'prt_2'))
  writer.write(lists)
  t.same(batches[1], [says('a thought', 'prt_2'), lists])
  await writer.flush()
  t.same(await written(), [says('begin'), says('a thought', 'prt_2'), lists])
})

t.test('collects the next batch completely while one is being written', async (t) => {
  const { writer, batches, gate, written } = await given(t)
  const database = Promise.withResolvers<void>()
  gate.held = database.promise
  for (let n = 0; n < 40; n++) writer.write(lists)
  t.equal(batches.length, 1, 'the first is under way')
  database.resolve()
  await writer.flush()
  t.same(
    batches.map(({ length }) => length),
    [1, 39]
  )
  t.equal((await written()).length, 40)
})

t.test('reports a failed write immediately, and writes nothing after it', async (t) => {
  const { writer, batches, gate, written } = await given(t)
  gate.held = Promise.reject(new Error('the database is away'))
  gate.held.catch(() => {})
  writer.write(lists)
  await t.rejects(writer.flush(), { message: 'the database is away' })
  t.ok(writer.failed.aborted)
  writer.write(lists)
  await t.rejects(writer.flush(), { message: 'the database is away' })
  t.equal(batches.length, 1)
  t.same(await written(), [])
})
