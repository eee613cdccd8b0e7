import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { within } from '#kernel/waiting.ts'
import { KILO } from '#workspaces'
import { carryOutReview, recoverReviews } from '../../../src/jobs/manage/carry-out-review.ts'
import { REVIEWS } from '../../../src/jobs/manage/review-policy.ts'
import type { ClaimedReview, ReviewVerb } from '../../../src/jobs/stores/review-store.ts'
import { createMutex } from '../../../src/workspaces/mutex.ts'
import { openTestDatabase } from '../../helpers/database.ts'
import { watchTransactions } from '../../helpers/databases/transactions.ts'
import { givenReviews } from './given-reviews.ts'

watchTransactions()
const VERBS = Object.keys(REVIEWS) as ReviewVerb[]

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
        const claimed = await claim(verb, id)
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
    const slow = review(
      'merge',
      id,
      {},
      {
        async carryOutReview(claimed: ClaimedReview) {
          await first.promise
          return carryOutReview(deps, claimed)
        }
      }
    )
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
