import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { Db } from '#db'
import { createEventLog, createFeed } from '#events'
import { systemClock as clock } from '#kernel/clock.ts'
import type { MergeState } from '#kernel/frames.ts'
import { jobId, projectId, userId, type JobId, type ProjectId } from '#kernel/ids.ts'
import { silentLog as log } from '#kernel/log.ts'
import { credits } from '#kernel/money.ts'
import { within } from '#kernel/waiting.ts'
import { insertProject } from '#projects'
import { createWorkspaces, KILO } from '#workspaces'
import { createEmbeddedBus } from '../../../src/adapters/embedded/bus.ts'
import {
  carryOutReview,
  recoverReviews,
  tryReview
} from '../../../src/jobs/manage/carry-out-review.ts'
import { REVIEWS } from '../../../src/jobs/manage/review-states.ts'
import { reviewJob } from '../../../src/jobs/manage/review-job.ts'
import type { ProjectCommands } from '../../../src/jobs/job-deps.ts'
import { readJob } from '../../../src/jobs/stores/job-read-store.ts'
import { insertJob } from '../../../src/jobs/stores/job-store.ts'
import {
  claimReview,
  type ClaimedReview,
  type ReviewVerb
} from '../../../src/jobs/stores/review-store.ts'
import { insertSession } from '../../../src/jobs/stores/session-store.ts'
import { createMutex } from '../../../src/workspaces/mutex.ts'
import { openTestDatabase } from '../../helpers/database.ts'
import { watchTransactions } from '../../helpers/databases/transactions.ts'

watchTransactions()
const VERBS = Object.keys(REVIEWS) as ReviewVerb[]

async function givenReviews(t: Test, db: Db) {
  const projectsDir = await mkdtemp(join(tmpdir(), 'kilowatt-reviews-'))
  t.teardown(() => rm(projectsDir, { recursive: true, force: true }))
  const workspaces = createWorkspaces({ projectsDir, clock, log })
  t.teardown(() => workspaces[Symbol.dispose]())
  const bus = createEmbeddedBus()
  const deps = { db, workspaces, events: createEventLog(db, bus), log }
  const by = userId.create()
  await db.insertInto('users').values({ id: by, name: null }).execute()

  /** A finished job with a commit of its own, whose work is `held`, or merged where the review is of merged work. */
  const job = async (verb: ReviewVerb) => {
    const id = projectId.create()
    await workspaces.create(id, { files: [{ path: 'a.txt', content: 'one\n' }] }, KILO)
    await insertProject(db, { id, userId: by, name: 'test', review: 'hold' })
    const session = await insertSession(db, id, 'test')
    const workspace = workspaces.open(id)
    const branch = `ai/session-${session.id.slice('ses_'.length)}`
    const { base } = await workspace.startJob(branch, {})
    await writeFile(join(workspace.worktree, 'b.txt'), 'two\n')
    const commit = await workspace.commitJob({ subject: 'work', trailers: {}, author: KILO })
    const message = 'Merge'
    const merge: MergeState = verb === 'revert' ? 'merged' : 'held'
    if (merge === 'merged') await workspace.mergeJob(commit!, { author: KILO, message })
    await workspace.returnToMain()

    const row = {
      id: jobId.create(),
      projectId: id,
      userId: by,
      sessionId: session.id,
      text: 'work',
      mode: 'code',
      model: 'a/b',
      currentFilePath: null,
      review: 'hold',
      maxCredits: null,
      reserved: credits(1)
    } as const
    await insertJob(db, row)
    await db
      .updateTable('jobs')
      .set({ status: 'succeeded', charged: '0', refunded: String(row.reserved) })
      .set({ branch, base, commit, merge })
      .where('id', '=', row.id)
      .execute()
    return { id: row.id, project: id, workspace, lockPath: join(projectsDir, id, 'lock') }
  }
  const claim = async (id: JobId, verb: ReviewVerb) =>
    (await claimReview(db, id, { verb, by, from: REVIEWS[verb].from }, clock.now()))!
  const stateOf = async (id: JobId) => (await readJob(db, id))?.merge
  const changes = async (id: ProjectId) => {
    const page = { after: 0, types: ['project:changed'], limit: 100 }
    return (await createFeed(db, bus).page(id, page)).map(({ data }) => data)
  }
  const review = (verb: ReviewVerb, id: JobId, commands: Partial<ProjectCommands> = {}) => {
    const inProcess = {
      carryOutReview: (claimed) => carryOutReview(deps, claimed),
      tryReview: (work, verb) => tryReview(deps, work, verb),
      ...commands
    } as ProjectCommands
    return reviewJob({ db, clock, commands: inProcess }, verb, by, id, false)
  }
  return { by, deps, job, claim, stateOf, changes, review }
}

t.test('reviews', async (t) => {
  const db = await openTestDatabase(t)
  const { by, deps, job, claim, stateOf, changes, review } = await givenReviews(t, db)
  const stopping = new AbortController().signal

  for (const verb of VERBS) {
    for (const [when, isDone] of [
      ['before git has run', false],
      ['after git has run', true]
    ] as const) {
      await t.test(`finishes a ${verb} that a crash interrupts ${when}`, async (t) => {
        const { id, project, workspace } = await job(verb)
        const claimed = await claim(id, verb)
        t.equal(await stateOf(id), 'merging')
        const append = () => Promise.reject(new Error('crashed'))
        const crashing = { ...deps, events: { ...deps.events, append } }
        if (isDone) await t.rejects(carryOutReview(crashing, claimed), /crashed/)

        await recoverReviews(deps, stopping)
        const { to } = REVIEWS[verb]
        t.equal(await stateOf(id), to)
        const head = await workspace.head()
        t.same(await changes(project), [{ head, jobId: id, merge: to, by }], 'one event')
        const { files } = await workspace.list('main')
        t.equal(files.length, verb === 'merge' ? 2 : 1)

        await recoverReviews(deps, stopping)
        t.equal((await changes(project)).length, 1, 'recovered once')
      })
    }
  }

  await t.test('a review that git refuses leaves the previous merge state', async (t) => {
    const { id, workspace } = await job('merge')
    await workspace.save('b.txt', Buffer.from('other\n'), { author: KILO })
    await t.rejects(review('merge', id), { code: 'merge_conflict', facts: { paths: ['b.txt'] } })
    t.equal(await stateOf(id), 'held')
  })

  await t.test('of two concurrent reviews the second sees what the first has done', async (t) => {
    const { id, project } = await job('merge')
    const first = Promise.withResolvers<void>()
    const slow = review('merge', id, {
      async carryOutReview(claimed: ClaimedReview) {
        await first.promise
        return carryOutReview(deps, claimed)
      }
    })
    while ((await stateOf(id)) !== 'merging') await sleep(5)
    const second = review('discard', id)
    await sleep(100)
    first.resolve()
    t.match(await slow, { merge: 'merged' })
    await t.rejects(second, { code: 'job_not_mergeable', message: /its work is merged/ })
    t.equal((await changes(project)).length, 1)
  })

  await t.test('a review that waits for the workspace holds up no other query', async (t) => {
    const { id, lockPath } = await job('merge')
    const release = Promise.withResolvers<void>()
    const occupied = createMutex(lockPath)(() => release.promise)
    const reviewing = review('merge', id)
    while ((await within(stateOf(id), 5000)) !== 'merging') await sleep(5)
    const answered = await within(db.selectFrom('users').selectAll().execute(), 5000)
    t.ok(answered, 'a query is answered while git waits')
    release.resolve()
    t.match(await reviewing, { merge: 'merged' })
    await occupied
  })
})
