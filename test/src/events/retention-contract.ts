import t, { type Test } from 'tap'
import type { Db } from '#db'
import { createEventLog, createFeed, createRetention } from '#events'
import type { Clock } from '#kernel/clock.ts'
import { systemClock } from '#kernel/clock.ts'
import type { Draft } from '#kernel/frames.ts'
import { jobId, sessionId, type JobId, type ProjectId } from '#kernel/ids.ts'
import { silentLog, type Log } from '#kernel/log.ts'
import { createEmbeddedBus } from '../../../src/adapters/embedded/bus.ts'
import { givenProject } from '../../contracts/project-lock.ts'
import { until } from '../../helpers/patience.ts'

const DAY_MS = 24 * 60 * 60 * 1000
const noon = new Date('2026-01-31T12:00:00Z')
const daysAgo = (days: number) => new Date(noon.getTime() - days * DAY_MS)
const clock: Clock = { ...systemClock, now: () => noon }

const says = (text: string): Draft => ({
  type: 'job:log',
  data: { source: 'assistant', partId: 'p', text }
})
const NO_CREDITS = { reserved: 0, charged: 0, refunded: 0 }
const ends: Draft = {
  type: 'job:success',
  data: { commit: null, branch: 'b', merge: 'none', credits: NO_CREDITS }
}

async function given(db: Db) {
  const bus = createEmbeddedBus()
  const events = createEventLog(db, bus)
  const feed = createFeed(db, bus)
  const lines: object[] = []
  const log: Log = { ...silentLog, info: (facts, says) => lines.push({ ...facts, says }) }
  const counted: number[] = []
  const onRemoved = (frames: number) => counted.push(frames)
  const keep = (days: number | undefined) =>
    createRetention({
      ...{ db, clock, log, onRemoved },
      keepMs: days === undefined ? undefined : days * DAY_MS
    })

  /** Writes frames as if it were so many days ago. */
  const write = async (
    projectId: ProjectId,
    days: number,
    drafts: Draft[],
    ofJob: JobId | null = null
  ) => {
    const { lastSeq } = await feed.reach(projectId)
    await events.append(db, { projectId, jobId: ofJob }, drafts)
    await db
      .updateTable('project_events')
      .set({ created_at: daysAgo(days) })
      .where('project_id', '=', projectId)
      .where('seq', '>', String(lastSeq))
      .execute()
    events.announce(projectId)
  }
  const seqs = async (projectId: ProjectId) =>
    (await feed.page(projectId, { after: 0, limit: 100_000 })).map(({ seq }) => seq)
  return { events, feed, keep, write, seqs, lines, counted }
}

/** A job's row, without its work: frames point at it. */
async function givenJob(db: Db, projectId: ProjectId): Promise<JobId> {
  const { user_id } = await db
    .selectFrom('projects')
    .select('user_id')
    .where('id', '=', projectId)
    .executeTakeFirstOrThrow()
  const session = sessionId.create()
  await db
    .insertInto('sessions')
    .values({ id: session, project_id: projectId, title: 't', agent_session_id: null })
    .execute()
  const id = jobId.create()
  const what = { text: 'x', mode: 'code', model: 'm', review: 'merge', status: 'queued' } as const
  await db
    .insertInto('jobs')
    .values({
      ...{ id, project_id: projectId, user_id, session_id: session, reserved: '1', ...what },
      ...{ current_file_path: null, max_credits: null, charged: null, refunded: null, usage: null },
      ...{
        branch: null,
        base: null,
        commit: null,
        merge: 'none',
        error_code: null,
        error_message: null
      },
      ...{ token: null, agent_session_id: null, prompt_sent_at: null },
      ...{ cancel_requested_at: null, started_at: null, finished_at: null }
    })
    .execute()
  return id
}

const range = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, n) => from + n)
const many = (count: number) => Array.from({ length: count }, (_, n) => says(String(n)))

/** What retention promises, on either database. */
export function retentionContract(name: string, open: (t: Test) => Promise<Db>): void {
  t.test(`${name}: what is too old goes, and no number is given out again`, async (t) => {
    const db = await open(t)
    const { keep, write, seqs, feed, lines, counted } = await given(db)
    const [a, b] = [await givenProject(db), await givenProject(db)]
    await write(a, 40, many(1000))
    await write(a, 10, many(3))
    await write(b, 10, many(2))

    await using retention = keep(30)
    t.equal(await retention.sweep(), 1000)
    t.same(await seqs(a), [1001, 1002, 1003])
    t.same(await seqs(b), [1, 2])
    t.same(counted, [1000])
    t.match(lines, [{ says: 'old history removed', frames: 1000, projects: 1 }])
    t.equal(await retention.sweep(), 0, 'sweeping again removes nothing')
    t.equal(lines.length, 1, 'and says nothing')

    await write(a, 0, [says('later')])
    t.same(await feed.reach(a), { lastSeq: 1004, oldestSeq: 1001 })
  })

  t.test(`${name}: removes nothing without a retention setting`, async (t) => {
    const db = await open(t)
    const { keep, write, seqs } = await given(db)
    const project = await givenProject(db)
    await write(project, 4000, many(3))
    await using retention = keep(undefined)
    t.equal(await retention.sweep(), 0)
    t.same(await seqs(project), [1, 2, 3])
  })

  t.test(`${name}: a project keeps its last frame, so that a gap shows`, async (t) => {
    const db = await open(t)
    const { keep, write, seqs } = await given(db)
    const project = await givenProject(db)
    await write(project, 40, many(7))
    await using retention = keep(30)
    t.equal(await retention.sweep(), 6)
    t.same(await seqs(project), [7])
  })

  t.test(`${name}: a job that is not over, or has just ended, stays whole`, async (t) => {
    const db = await open(t)
    const { keep, write, seqs } = await given(db)
    const [old, fresh, open_] = [
      await givenProject(db),
      await givenProject(db),
      await givenProject(db)
    ]
    const at = async (project: ProjectId, days: readonly [number, number | null]) => {
      const job = await givenJob(db, project)
      await write(project, 50, [says('before')])
      await write(project, days[0], many(5), job)
      if (days[1] !== null) await write(project, days[1], [ends], job)
      await write(project, 1, [says('after')])
    }
    await at(old, [40, 35])
    await at(fresh, [40, 20])
    await at(open_, [40, null])

    await using retention = keep(30)
    await retention.sweep()
    t.same(await seqs(old), [8])
    t.same(await seqs(fresh), range(2, 8))
    t.same(await seqs(open_), range(2, 7))
  })

  t.test(`${name}: a job that waited while another ran keeps what came after it`, async (t) => {
    const db = await open(t)
    const { keep, write, seqs } = await given(db)
    const project = await givenProject(db)
    const [first, second] = [await givenJob(db, project), await givenJob(db, project)]
    await write(project, 40, many(2), first)
    await write(project, 40, many(1), second)
    await write(project, 40, [...many(1), ends], first)
    await using retention = keep(30)
    await retention.sweep()
    t.same(await seqs(project), [3, 4, 5], 'history is left without a hole')
  })

  t.test(`${name}: two concurrent sweeps remove each frame once while others write`, async (t) => {
    const db = await open(t)
    const { keep, write, seqs, events, feed } = await given(db)
    const project = await givenProject(db)
    await write(project, 40, many(2000))
    await using one = keep(30)
    await using other = keep(30)
    const writing = Promise.all(
      range(1, 50).map(() => events.record({ projectId: project, jobId: null }, [says('new')]))
    )
    const removed = await Promise.all([one.sweep(), other.sweep()])
    await writing
    t.equal(removed[0] + removed[1], 2000)
    // Those of the clock of the test are in the past of the database's own.
    t.same(await seqs(project), range(2001, 2050))
    t.same(await feed.reach(project), { lastSeq: 2050, oldestSeq: 2001 })
  })

  t.test(`${name}: a follower whose history goes is never shown a gap`, async (t) => {
    const db = await open(t)
    const { keep, write, feed } = await given(db)
    const project = await givenProject(db)
    await write(project, 40, many(1500))
    await using retention = keep(30)
    const gone = new AbortController()
    t.teardown(() => gone.abort())

    const seen: number[] = []
    for await (const { seq } of feed.follow(project, { after: 0 }, gone.signal)) {
      seen.push(seq)
      if (seq === 10) await retention.sweep()
    }
    t.notOk(gone.signal.aborted, 'it was ended by the feed')
    t.ok(seen.length < 1500)
    t.same(seen, range(1, seen.length), 'what it saw is whole')
  })

  for (const [says, filter] of [
    ['of a type', { types: ['job:log'] }],
    ['of a type that is rare', { types: ['job:log', 'job:success'] }]
  ] as const) {
    t.test(`${name}: nor is one that follows frames ${says}`, async (t) => {
      const db = await open(t)
      const { keep, write, feed } = await given(db)
      const project = await givenProject(db)
      const todo: Draft = { type: 'job:todo', data: { items: [] } }
      await write(
        project,
        40,
        many(600).flatMap((draft) => [draft, todo])
      )
      await using retention = keep(30)
      const gone = new AbortController()
      t.teardown(() => gone.abort())

      const seen: number[] = []
      for await (const { seq } of feed.follow(project, { after: 0, ...filter }, gone.signal)) {
        seen.push(seq)
        if (seq === 9) await retention.sweep()
      }
      t.same(
        seen,
        range(1, seen.length).map((n) => 2 * n - 1)
      )
      t.ok(seen.length < 600)
    })
  }

  t.test(`${name}: what goes from under a choice that was read already is no gap`, async (t) => {
    const db = await open(t)
    const { keep, write, feed } = await given(db)
    const project = await givenProject(db)
    await write(project, 40, [
      ...many(1),
      ...many(400).map((): Draft => ({ type: 'job:todo', data: { items: [] } }))
    ])
    await using retention = keep(30)
    const gone = new AbortController()
    const seen: number[] = []
    const following = (async () => {
      for await (const { seq } of feed.follow(
        project,
        { after: 0, types: ['job:log'] },
        gone.signal
      )) {
        seen.push(seq)
        if (seen.length === 2) gone.abort()
      }
    })()
    await until('the first frame', () => seen.length > 0)
    // It looks at everything once more after the first frame, and then waits for the bell: others are answered after it.
    for (let n = 0; n < 20; n++) await feed.reach(project)
    await new Promise((resolve) => setTimeout(resolve, 300))
    await retention.sweep()
    await write(project, 0, many(1))
    await following
    t.ok(gone.signal.aborted)
    t.same(seen, [1, 402])
  })
}
