import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import t from 'tap'
import {
  mayStart,
  nextBudget,
  recentFailures,
  UNUSED_BUDGET,
  type Budget,
  type BudgetEvent
} from '../../../supervisor/pool/start-budget.ts'
import { check } from '../../helpers/property.ts'

const bounds = { failuresMax: 3, windowMs: 1000, brokenMs: 500 }
const closed = (...failedAtMs: number[]): Budget => ({ kind: 'closed', failedAtMs })
const open = (untilMs: number): Budget => ({ kind: 'open', untilMs })
const trial: Budget = { kind: 'trial' }

t.test('follows each event', async (t) => {
  const now = 2000
  for (const [title, before, event, after] of [
    ['a first failure is counted', closed(), 'failure', closed(now)],
    ['failures before the window are forgotten', closed(1000, 1001), 'failure', closed(1001, now)],
    ['one too many opens it', closed(1500, 1600), 'failure', open(2500)],
    ['a start of a closed one changes nothing', closed(1500), 'start', closed(1500)],
    ['a success does not forget failures', closed(1500), 'success', closed(1500)],
    ['a stop is no failure', closed(1500), 'stop', closed(1500)],
    ['the first start after the pause is a trial', open(2000), 'start', trial],
    ['a late failure does not prolong the pause', open(2100), 'failure', open(2100)],
    ['a success of a late agent closes it', open(2100), 'success', closed()],
    ['a trial that fails opens it anew', trial, 'failure', open(2500)],
    ['a trial that succeeds closes it', trial, 'success', closed()],
    ['a trial that is stopped may be repeated immediately', trial, 'stop', open(2000)],
    ['a request resets it', open(9999), 'reset', closed()]
  ] as const satisfies readonly (readonly [string, Budget, BudgetEvent, Budget])[]) {
    t.same(nextBudget(before, event, now, bounds), after, title)
  }
})

t.test('says when an agent may be started', async (t) => {
  t.ok(mayStart(closed(1, 2), 3))
  t.notOk(mayStart(open(2000), 1999))
  t.ok(mayStart(open(2000), 2000))
  t.notOk(mayStart(trial, 1e9), 'one trial at a time')
  t.same(recentFailures(closed(1000, 1001), 2000, bounds), [1001])
  t.same(recentFailures(open(3000), 2000, bounds), [])
})

t.test('bounds the failures of a project, and refuses none whose agents work', async () => {
  const step = fc.record({
    afterMs: fc.integer({ min: 0, max: 400 }),
    outcome: fc.constantFrom<BudgetEvent>('failure', 'failure', 'failure', 'success', 'stop')
  })
  /** After it was opened, one trial per pause may fail. */
  const inWindowMax = bounds.failuresMax + Math.ceil(bounds.windowMs / bounds.brokenMs)
  check(
    fc.property(fc.array(step, { minLength: 1, maxLength: 60 }), (steps) => {
      let budget = UNUSED_BUDGET
      let nowMs = 0
      let failedAtMs: number[] = []
      for (const { afterMs, outcome } of steps) {
        nowMs += afterMs
        const recent = failedAtMs.filter((atMs) => atMs > nowMs - bounds.windowMs)
        const isAdmitted = mayStart(budget, nowMs)
        assert.ok(isAdmitted || recent.length > 0, 'refused without a recent failure')
        if (!isAdmitted) continue
        budget = nextBudget(budget, 'start', nowMs, bounds)
        const wasTrial = budget.kind === 'trial'
        budget = nextBudget(budget, outcome, nowMs, bounds)
        if (outcome === 'failure') failedAtMs = [...recent, nowMs]
        if (outcome === 'success' && wasTrial) failedAtMs = []
        assert.ok(failedAtMs.length <= inWindowMax, `${failedAtMs.length} failures in a window`)
      }
    })
  )
})
