import { sql } from 'kysely'
import t, { type Test } from 'tap'
import type { Db } from '#db'
import { userId, projectId, type ProjectId } from '#kernel/ids.ts'
import type { ProjectLock } from '#ports/lock.ts'
import { insertProject } from '#projects'
import { until } from '../helpers/patience.ts'

export interface LockUnderTest {
  readonly db: Db
  /** Another worker's lock on the same backbone, with leases this short. */
  open(times?: { ttlMs: number; renewEveryMs: number; giveUpAfterMs: number }): ProjectLock
}

/** A user and a project of that user's, for rows that point at them. */
export async function givenProject(db: Db): Promise<ProjectId> {
  const user = userId.create()
  await db.insertInto('users').values({ id: user, name: null }).execute()
  const project = { id: projectId.create(), userId: user, name: 'p', review: 'merge' as const }
  return (await insertProject(db, project)).id
}

const rowOf = (db: Db, id: ProjectId) =>
  db
    .selectFrom('project_leases')
    .select('expires_at')
    .where('project_id', '=', id)
    .executeTakeFirstOrThrow()

const HALF_HOUR_MS = 30 * 60 * 1000

/** Nothing of this process runs for so long. */
const suspend = (ms: number) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)

const SHORT = { ttlMs: 2000, renewEveryMs: 200, giveUpAfterMs: 1500 }

/** What every ProjectLock promises, whichever adapter keeps the promise. */
export function projectLockContract(name: string, open: (t: Test) => Promise<LockUnderTest>) {
  t.test(`${name}: one holder a project, and projects do not hinder each other`, async (t) => {
    const { db, open: openLock } = await open(t)
    const [one, other] = [openLock(), openLock()]
    const [a, b] = [await givenProject(db), await givenProject(db)]

    await using lease = await one.acquire(a)
    t.ok(lease)
    t.equal(await one.acquire(a), undefined, 'not twice for the same worker')
    t.equal(await other.acquire(a), undefined, 'not for another worker')
    await using second = await other.acquire(b)
    t.ok(second, 'another project is free')
  })

  t.test(`${name}: leaving the scope gives the project back, with a larger token`, async (t) => {
    const { db, open: openLock } = await open(t)
    const [one, other] = [openLock(), openLock()]
    const project = await givenProject(db)

    let last = 0n
    for (const lock of [one, other, one]) {
      await using lease = await lock.acquire(project)
      t.ok(lease && lease.token > last, 'the fencing token only grows')
      last = lease?.token ?? last
    }
  })

  t.test(`${name}: disposing twice is disposing once`, async (t) => {
    const { db, open: openLock } = await open(t)
    const lock = openLock()
    const project = await givenProject(db)
    const first = await lock.acquire(project)
    await first?.[Symbol.asyncDispose]()
    await using second = await lock.acquire(project)
    await first?.[Symbol.asyncDispose]()
    t.ok(second)
    t.equal(await lock.acquire(project), undefined, 'the second lease is still held')
  })

  t.test(`${name}: a lease outlives its ttl while it is renewed`, async (t) => {
    const { db, open: openLock } = await open(t)
    const project = await givenProject(db)
    await using lease = await openLock(SHORT).acquire(project)
    await new Promise((resolve) => setTimeout(resolve, SHORT.ttlMs * 3))
    t.equal(lease?.signal.aborted, false)
    t.equal(await openLock().acquire(project), undefined)
  })

  t.test(`${name}: a step of the clock ends no lease that its holder renews`, async (t) => {
    const { db, open: openLock } = await open(t)
    const project = await givenProject(db)
    await using lease = await openLock(SHORT).acquire(project)
    for (const hours of [-1, 1]) {
      // As the row looks after the database's clock was set forward, or back.
      const step = sql<Date>`expires_at + ${hours} * interval '1 hour'`
      await db
        .updateTable('project_leases')
        .set({ expires_at: step })
        .where('project_id', '=', project)
        .execute()
      const { expires_at: stepped } = await rowOf(db, project)
      await until('a renewal', async () => {
        const { expires_at: now } = await rowOf(db, project)
        return Math.abs(now.getTime() - stepped.getTime()) > HALF_HOUR_MS
      })
      t.equal(lease?.signal.aborted, false)
      t.equal(await openLock().acquire(project), undefined)
    }
  })

  t.test(
    `${name}: a holder that was suspended keeps its lease unless another one came`,
    async (t) => {
      const { db, open: openLock } = await open(t)
      const [kept, taken] = [await givenProject(db), await givenProject(db)]
      await using lease = await openLock(SHORT).acquire(kept)
      await using lost = await openLock(SHORT).acquire(taken)
      const next = sql<string>`token + 1`
      await db
        .updateTable('project_leases')
        .set({ token: next })
        .where('project_id', '=', taken)
        .execute()
      suspend(SHORT.ttlMs * 2)
      await until('the loss of the one', () => lost?.signal.aborted === true)
      await new Promise((resolve) => setTimeout(resolve, SHORT.giveUpAfterMs))
      t.equal(lease?.signal.aborted, false)
      t.equal(await openLock().acquire(kept), undefined)
    }
  )

  t.test(`${name}: a lease that was taken over aborts its signal`, async (t) => {
    const { db, open: openLock } = await open(t)
    const project = await givenProject(db)
    await using lease = await openLock(SHORT).acquire(project)
    await db
      .updateTable('project_leases')
      .set((of) => ({ token: of('token', '+', '1') }))
      .where('project_id', '=', project)
      .execute()
    await until('the loss', () => lease?.signal.aborted === true)
  })

  t.test(`${name}: grants the lock to one of many concurrent requests`, async (t) => {
    const { db, open: openLock } = await open(t)
    const project = await givenProject(db)
    const leases = await Promise.all(Array.from({ length: 20 }, () => openLock().acquire(project)))
    const held = leases.filter((lease) => lease !== undefined)
    t.equal(held.length, 1)
    await held[0]?.[Symbol.asyncDispose]()
  })
}
