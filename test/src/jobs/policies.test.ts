import fc from 'fast-check'
import t from 'tap'
import { LIMITS } from '#kernel/limits.ts'
import { credits, microcredits, ZERO } from '#kernel/money.ts'
import { fileFrames, undoneChanges, type Change } from '../../../src/jobs/run/file-frames.ts'
import { append } from '../../../src/jobs/run/frame-writer.ts'
import { chooseMode } from '../../../src/jobs/submit/mode-and-model.ts'
import { JOB_STATES, statesBefore, UNFINISHED } from '../../../src/jobs/job-states.ts'
import { isGranted } from '../../../src/jobs/run/permission-policy.ts'
import { decideReserve, likelyCost, percentile } from '../../../src/jobs/submit/reserve-policy.ts'
import { isTerminal } from '#kernel/transitions.ts'
import type { Draft } from '#kernel/frames.ts'
import { check } from '../../helpers/property.ts'

t.test('what a job reserves', async (t) => {
  const ten = credits(10)
  for (const [says, facts, expected] of [
    ['the minimum without a history', {}, ten],
    [
      'what nine of ten cost',
      { recentCosts: Array.from({ length: 9 }, () => credits(30)) },
      credits(30)
    ],
    ['never over its maximum', { maxCredits: credits(4) }, credits(4)],
    ['never over the balance', { balance: credits(3) }, credits(3)],
    ['nothing when there is nothing', { balance: ZERO }, ZERO]
  ] as const) {
    const given = {
      minimum: ten,
      recentCosts: [],
      maxCredits: null,
      balance: credits(1000),
      ...facts
    }
    t.equal(decideReserve(given), expected, says)
  }
})

t.test(
  'so many tenths of the costs are within a percentile, and no smaller one does it',
  async (t) => {
    check(
      fc.property(
        fc.array(fc.bigInt(0n, 1000n), { minLength: 1, maxLength: 40 }),
        fc.constantFrom(1, 5, 9, 10),
        (costs, tenths) => {
          const found = percentile(costs.map(microcredits), tenths)
          const within = (limit: bigint) => costs.filter((cost) => cost <= limit).length * 10
          const wanted = costs.length * tenths
          return within(found) >= wanted && within(found - 1n) < wanted
        }
      )
    )
    t.equal(percentile([], 9), ZERO)
  }
)

t.test('what a job will likely cost', async (t) => {
  t.equal(likelyCost([]), null, 'null without a history')
  t.same(likelyCost([credits(5)]), { low: credits(5), high: credits(5) })
  const twenty = Array.from({ length: 20 }, (_, i) => credits(20 - i))
  t.same(likelyCost(twenty), { low: credits(2), high: credits(18) })
})

t.test('a standing permission covers what was granted word for word', async (t) => {
  const standing = [{ kind: 'bash', patterns: ['ls', 'pwd'], title: '' }]
  for (const [says, asked, expected] of [
    ['the same', { kind: 'bash', patterns: ['ls'] }, true],
    ['all of it', { kind: 'bash', patterns: ['pwd', 'ls'] }, true],
    ['more than that', { kind: 'bash', patterns: ['ls', 'rm -rf .'] }, false],
    ['another kind', { kind: 'edit', patterns: ['ls'] }, false],
    ['nothing in particular', { kind: 'bash', patterns: [] }, false]
  ] as const) {
    t.equal(isGranted(standing, asked), expected, says)
  }
})

t.test('modes have two names, and others are refused with the known ones', async (t) => {
  const known = ['code', 'plan', 'ask']
  t.equal(chooseMode(known, undefined), 'code')
  t.equal(chooseMode(known, 'coder'), 'code')
  t.equal(chooseMode(known, 'architect'), 'plan')
  for (const wrong of ['wizard', 'constructor', '__proto__', '']) {
    t.throws(() => chooseMode(known, wrong), { code: 'unknown_mode', facts: { known } })
  }
})

t.test('the states of a job', async (t) => {
  for (const state of UNFINISHED) t.notOk(isTerminal(JOB_STATES, state))
  for (const end of ['succeeded', 'failed', 'cancelled'] as const) {
    t.ok(isTerminal(JOB_STATES, end))
    t.ok(statesBefore(end).every((state) => !isTerminal(JOB_STATES, state)))
  }
  t.same(statesBefore('succeeded'), ['settling'], 'nothing succeeds without having been settled')
})

t.test('file frames turn the last reported state into the current one', async (t) => {
  const path = fc.constantFrom('a', 'b', 'c', 'd')
  const change = fc.record({
    path,
    status: fc.constantFrom('added', 'modified', 'deleted'),
    sha: fc.constantFrom('1', '2', '3')
  })
  const state = fc
    .uniqueArray(change, { selector: (one) => one.path })
    .map((list) =>
      list.map((one): Change => (one.status === 'deleted' ? { ...one, sha: null } : one) as Change)
    )

  check(
    fc.property(state, state, (before, now) => {
      const reported = new Map(before.map(({ path, sha }) => [path, sha]))
      const asItWas = (one: Change): [string, string][] =>
        one.status === 'added' ? [] : [[one.path, 'base']]
      const restored = new Map(undoneChanges(before, now).flatMap(asItWas))
      for (const { type, data } of fileFrames(before, now, restored)) {
        if (!type.startsWith('job:file-')) return false
        const { path, sha } = data as { path: string; sha: string | null }
        reported.set(path, sha)
      }
      const asBefore = (one: Change) => reported.get(one.path) === (restored.get(one.path) ?? null)
      return (
        now.every(({ path, sha }) => reported.get(path) === sha) &&
        undoneChanges(before, now).every(asBefore)
      )
    })
  )
  t.same(fileFrames([{ path: 'a', status: 'added', sha: '1' }], []), [
    { type: 'job:file-deleted', data: { path: 'a', sha: null, by: 'agent' } }
  ])
  t.match(
    fileFrames(
      [{ path: 'a', status: 'added', sha: '1' }],
      [{ path: 'a', status: 'added', sha: '2' }]
    ),
    [{ type: 'job:file-updated' }]
  )
})

t.test('joined pieces are the same text, in the same order of parts', async (t) => {
  const piece = fc.record({
    source: fc.constantFrom('assistant', 'reasoning'),
    partId: fc.constantFrom('p1', 'p2'),
    text: fc.string()
  })
  const textOf = (drafts: readonly Draft[], partId: string, source: string) =>
    drafts
      .map(({ data }) => data as { partId: string; source: string; text: string })
      .filter((data) => data.partId === partId && data.source === source)
      .map(({ text }) => text)
      .join('')

  check(
    fc.property(fc.array(piece), (pieces) => {
      const drafts = pieces.map((data): Draft => ({ type: 'job:log', data }))
      const joined: Draft[] = []
      for (const draft of drafts) append(joined, draft)
      return ['p1', 'p2'].every((part) =>
        ['assistant', 'reasoning'].every(
          (source) => textOf(joined, part, source) === textOf(drafts, part, source)
        )
      )
    })
  )
  t.pass('for every sequence of pieces')
})

t.test('a text that waits for a slow database becomes frames of a bounded size', async (t) => {
  const piece: Draft = {
    type: 'job:log',
    data: { source: 'assistant', partId: 'p1', text: 'x'.repeat(1000) }
  }
  const joined: Draft[] = []
  for (let n = 0; n < 100; n += 1) append(joined, piece)
  const sizes = joined.map(({ data }) => (data as { text: string }).text.length)
  t.ok(Math.max(...sizes) < LIMITS.logJoinBytes + 1000)
  t.equal(
    sizes.reduce((sum, size) => sum + size, 0),
    100_000
  )
})
