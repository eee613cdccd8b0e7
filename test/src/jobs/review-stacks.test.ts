import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { JobId } from '#kernel/ids.ts'
import { KILO } from '#workspaces'
import { carryOutReview, recoverReviews } from '../../../src/jobs/manage/carry-out-review.ts'
import { readClaimedReviews } from '../../../src/jobs/stores/review-store.ts'
import { openTestDatabase } from '../../helpers/database.ts'
import { watchTransactions } from '../../helpers/databases/transactions.ts'
import { givenReviews } from './given-reviews.ts'

watchTransactions()

const LINES = 'one\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine\n'

t.test('work that stands on held work', async (t) => {
  const db = await openTestDatabase(t)
  const given = await givenReviews(t, db)
  const { conversation, review, stateOf, statesOf, row, changes, deps, claim } = given

  /** Three held jobs, each with a file of its own. */
  const three = async () => {
    const project = await conversation()
    const first = await project.work({ 'first.txt': 'first\n' })
    const second = await project.work({ 'second.txt': 'second\n' })
    const third = await project.work({ 'third.txt': 'third\n' })
    return { ...project, first, second, third }
  }

  /** The claim of a discard that replays the work above it. */
  const claimDiscard = async (first: JobId, ...above: JobId[]) => {
    await claim('discard', first, ...above)
    const update = db.updateTable('jobs').set({ review_to: 'held' })
    await update.where('id', 'in', above).execute()
  }

  await t.test('is merged together with it, and only if that is asked for', async (t) => {
    const { first, second, third, filesOfMain, project, workspace } = await three()
    t.same(await Promise.all([first, second, third].map(async (id) => (await row(id)).based_on)), [
      null,
      first,
      second
    ])
    for (const dryRun of [true, false]) {
      await t.rejects(review('merge', second, { dryRun }), {
        code: 'stands_on_held_work',
        facts: { jobs: [first] }
      })
    }
    const head = await workspace.head()
    const both = [
      { jobId: first, merge: 'merged' },
      { jobId: second, merge: 'merged' }
    ]
    const tried = await review('merge', second, { include: 'all', dryRun: true })
    t.same(tried, { jobId: second, merge: 'merged', commit: null, dryRun: true, jobs: both })
    t.same(await statesOf(first, second, third), ['held', 'held', 'held'])
    t.equal(await workspace.head(), head)

    t.match(await review('merge', second, { include: 'all' }), { merge: 'merged', jobs: both })
    t.same(await statesOf(first, second, third), ['merged', 'merged', 'held'])
    t.same(await filesOfMain(), ['a.txt', 'first.txt', 'second.txt'])
    t.match(await changes(project), [
      { jobId: first, merge: 'merged' },
      { jobId: second, merge: 'merged' }
    ])
    t.equal((await row(third)).based_on, null, 'the third stands on main now')
    t.match(await review('merge', third), { jobs: [{ jobId: third, merge: 'merged' }] })
    t.same(await filesOfMain(), ['a.txt', 'first.txt', 'second.txt', 'third.txt'])
  })

  await t.test('is replayed without work that is discarded', async (t) => {
    const { first, second, third, filesOfMain, workspace, branch } = await three()
    const before = await row(third)
    const tried = await review('discard', first, { dryRun: true })
    t.match(tried.jobs, [
      { jobId: first, merge: 'discarded' },
      { jobId: second, merge: 'held' },
      { jobId: third, merge: 'held' }
    ])
    t.equal((await row(third)).commit, before.commit, 'a dry run changes nothing')
    t.equal((await workspace.list(branch)).head, before.commit)

    await review('discard', first)
    t.same(await statesOf(first, second, third), ['discarded', 'held', 'held'])
    const after = await row(third)
    t.equal((await workspace.list(branch)).head, after.commit)
    const { files } = await workspace.diff(after.base!, after.commit!)
    t.same(
      files.map(({ path }) => path),
      ['third.txt'],
      'its own change is the same'
    )
    t.match(await review('merge', third, { include: 'all' }), { merge: 'merged' })
    t.same(await filesOfMain(), ['a.txt', 'second.txt', 'third.txt'])
    const commits = await workspace.findCommit('first.txt', {
      since: (await row(second)).base!,
      authorEmail: KILO.email
    })
    t.equal(commits, undefined, 'and main’s history does not have it either')
  })

  await t.test('is replayed on what is below the discarded work', async (t) => {
    const { first, second, third, filesOfMain } = await three()
    await review('discard', second)
    t.equal((await row(third)).based_on, first)
    t.equal((await row(third)).base, (await row(first)).commit)
    await review('merge', third, { include: 'all' })
    t.same(await filesOfMain(), ['a.txt', 'first.txt', 'third.txt'])
    t.same(await statesOf(first, second, third), ['merged', 'discarded', 'merged'])
  })

  await t.test('is discarded with it, if that is asked for', async (t) => {
    const { first, second, third, workspace, branch } = await three()
    t.match(await review('discard', second, { include: 'all' }), {
      jobs: [
        { jobId: second, merge: 'discarded' },
        { jobId: third, merge: 'discarded' }
      ]
    })
    t.same(await statesOf(first, second, third), ['held', 'discarded', 'discarded'])
    t.equal((await workspace.list(branch)).head, (await row(first)).commit)
  })

  await t.test('that cannot do without it is a conflict, and nothing changes', async (t) => {
    const { work } = await conversation({ 'a.txt': LINES })
    const first = await work({ 'a.txt': LINES.replace('two', 'TWO') })
    const second = await work({ 'a.txt': LINES.replace('two', 'TWO and more') })
    const commits = [(await row(first)).commit, (await row(second)).commit]
    for (const dryRun of [true, false]) {
      await t.rejects(review('discard', first, { dryRun }), {
        code: 'merge_conflict',
        facts: { paths: ['a.txt'], jobId: second, conflicts: [{ path: 'a.txt', kind: 'content' }] }
      })
    }
    t.same(await statesOf(first, second), ['held', 'held'])
    t.same([(await row(first)).commit, (await row(second)).commit], commits)
    await review('discard', first, { include: 'all' })
    t.same(await statesOf(first, second), ['discarded', 'discarded'])
  })

  await t.test('keeps what it has taken from main', async (t) => {
    const { work, workspace, filesOfMain } = await conversation({ 'a.txt': LINES })
    const first = await work({ 'a.txt': LINES.replace('two', 'TWO') })
    await workspace.save('person.txt', Buffer.from('person\n'), { author: KILO })
    await workspace.save('a.txt', Buffer.from(LINES.replace('nine', 'NINE')), { author: KILO })
    const second = await work({ 'a.txt': LINES.replace('two', 'TWO').replace('nine', 'NINE!') })
    await review('discard', first)
    await review('merge', second)
    t.same(await filesOfMain(), ['a.txt', 'person.txt'])
    t.equal(String((await workspace.read('a.txt')).content), LINES.replace('nine', 'NINE!'))
  })

  await t.test('is not discarded under a job that works on it', async (t) => {
    const { work, runOn } = await conversation()
    const first = await work({ 'b.txt': 'b\n' })
    const running = await runOn(first)
    await t.rejects(review('discard', first), { code: 'agent_busy', facts: { jobId: running } })
    t.equal(await stateOf(first), 'held')
    await review('merge', first)
    t.equal((await row(running)).based_on, null, 'a merge does not disturb it')
  })

  for (const verb of ['merge', 'discard'] as const) {
    await t.test(`a crash in a ${verb} leaves all states together`, async (t) => {
      const { first, second, third, project, filesOfMain } = await three()
      if (verb === 'merge') await claim('merge', first, second)
      else await claimDiscard(first, second, third)
      const [claimed] = await readClaimedReviews(db, [project])
      const append = () => Promise.reject(new Error('crashed'))
      const crashing = { ...deps, events: { ...deps.events, append } }
      await t.rejects(carryOutReview(crashing, claimed!), /crashed/)
      t.same(
        await statesOf(first, second),
        ['merging', 'merging'],
        'none is written without the others'
      )

      await recoverReviews(deps, new AbortController().signal)
      t.same(
        await statesOf(first, second, third),
        verb === 'merge' ? ['merged', 'merged', 'held'] : ['discarded', 'held', 'held']
      )
      t.equal((await changes(project)).length, verb === 'merge' ? 2 : 3)
      if (verb === 'discard') await review('merge', third, { include: 'all' })
      t.same(await filesOfMain(), [
        'a.txt',
        ...(verb === 'merge' ? ['first.txt', 'second.txt'] : ['second.txt', 'third.txt'])
      ])
    })
  }
  await t.test('a review whose git fails after main has moved is done', async (t) => {
    const { work, workspace } = await conversation()
    const first = await work({ 'b.txt': 'b\n' })
    const failing = {
      ...workspace,
      async mergeJob(...given: Parameters<typeof workspace.mergeJob>) {
        const merged = await workspace.mergeJob(...given)
        if (!given[1].dryRun) throw new Error('read-tree failed')
        return merged
      }
    }
    const claimed = await claim('merge', first)
    const workspaces = { ...deps.workspaces, open: () => failing }
    await carryOutReview({ ...deps, workspaces }, claimed)
    t.equal(await stateOf(first), 'merged')
  })

  await t.test('a review of work that is in review waits for it', async (t) => {
    const { first, second } = await three()
    const go = Promise.withResolvers<void>()
    const slow = review(
      'discard',
      first,
      {},
      {
        async carryOutReview(claimed) {
          await go.promise
          return carryOutReview(deps, claimed)
        }
      }
    )
    while ((await stateOf(second)) !== 'merging') await sleep(5)
    const merging = review('merge', second)
    await sleep(100)
    go.resolve()
    await slow
    t.match(await merging, { merge: 'merged', jobs: [{ jobId: second }] })
  })
})
