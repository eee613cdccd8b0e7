import t from 'tap'
import { createToolCount, decideProgress } from '../../../supervisor/turn/progress-policy.ts'
import { createSilenceWatch } from '../../../supervisor/turn/silence-watch.ts'
import { createManualClock } from '../manual-clock.ts'

const NEVER_MS = 600_000

/** A turn whose polls find these answers in turn, and the last of them from then on. */
function given(
  answers: (boolean | 'no answer')[],
  { begun = true, silenceMs = NEVER_MS, progressMs = NEVER_MS, toolsRunning = (): number => 0 } = {}
) {
  const clock = createManualClock()
  const reports: string[] = []
  const silence = createSilenceWatch({
    clock,
    async catchUp() {
      const idle = answers.length > 1 ? answers.shift() : answers[0]
      reports.push(idle === 'no answer' ? 'no answer' : idle ? 'idle' : 'busy')
      if (idle === 'no answer') throw new Error('timeout')
      return { idle: idle === true }
    },
    silenceMs,
    progressMs,
    awaits: () => ({ toolsRunning: toolsRunning(), promptsOpen: 0 }),
    hasBegun: () => begun,
    onOver: () => reports.push('over'),
    onUnresponsive: () => reports.push('unresponsive'),
    onNoProgress: () => reports.push('no progress')
  })
  return { clock, reports, silence }
}

t.test('ends a turn that two polls find idle, a second apart', async (t) => {
  const { clock, reports, silence } = given([true])
  using _ = silence
  await silence.poll()
  await clock.advance(999)
  t.same(reports, ['idle'])
  await clock.advance(1)
  t.same(reports, ['idle', 'idle', 'over'])
  await clock.advance(NEVER_MS)
  t.equal(reports.length, 3, 'and polls no more')
})

t.test('does not end a turn that the second poll finds busy', async (t) => {
  const { clock, reports, silence } = given([true, false])
  using _ = silence
  await silence.poll()
  await clock.advance(1500)
  t.same(reports, ['idle', 'busy'])
})

t.test('does not end a turn that has not begun for being idle', async (t) => {
  const { clock, reports, silence } = given([true], { begun: false })
  using _ = silence
  await silence.poll()
  await clock.advance(1500)
  t.same(reports, ['idle'])
})

t.test('polls a silent turn at intervals', async (t) => {
  const { clock, reports, silence } = given([false], { silenceMs: 100 })
  using _ = silence
  await clock.advance(350)
  t.same(reports, ['busy', 'busy', 'busy'])
})

t.test('does not poll a turn whose events arrive', async (t) => {
  const { clock, reports, silence } = given([false], { silenceMs: 3000 })
  using _ = silence
  for (let i = 0; i < 5; i++) {
    await clock.advance(2900)
    silence.activity()
  }
  t.same(reports, [])
  await clock.advance(3000)
  t.same(reports, ['busy'], 'until they stop')
})

t.test('polls again soon after a reconnect, whatever arrives', async (t) => {
  const { clock, reports, silence } = given([false])
  using _ = silence
  await silence.pollAfterReconnect()
  for (let i = 0; i < 20; i++) {
    silence.activity()
    await clock.advance(100)
  }
  t.same(reports, ['busy', 'busy'])
})

t.test('reports a Kilo that leaves two polls unanswered', async (t) => {
  const { clock, reports, silence } = given(['no answer'], { silenceMs: 10 })
  using _ = silence
  await clock.advance(5000)
  t.same(reports, ['no answer', 'no answer', 'unresponsive'])
})

t.test('continues when Kilo answers the second poll', async (t) => {
  const { clock, reports, silence } = given(['no answer', false, 'no answer', false], {
    silenceMs: 10
  })
  using _ = silence
  await clock.advance(2100)
  t.ok(reports.filter((report) => report === 'busy').length >= 3)
  t.notOk(reports.includes('unresponsive'))
})

t.test('polls no more after it was disposed', async (t) => {
  const { clock, reports, silence } = given([false], { silenceMs: 10 })
  silence[Symbol.dispose]()
  await clock.advance(1000)
  t.same(reports, [])
  t.equal(clock.sleepers(), 0)
})

t.test('decides whether a busy turn without events is awaited', async (t) => {
  const silent = { silentMs: 900_000, toolsRunning: 0, promptsOpen: 0 }
  for (const [title, facts, expected] of [
    ['silent within its bound', { ...silent, silentMs: 899_999 }, 'wait'],
    ['silent', silent, 'stall'],
    ['a tool runs', { ...silent, silentMs: 9_000_000, toolsRunning: 1 }, 'wait'],
    ['a person is asked', { ...silent, silentMs: 9_000_000, promptsOpen: 1 }, 'wait']
  ] as const) {
    t.equal(decideProgress(facts, 900_000), expected, title)
  }
})

t.test('counts the tools that run', async (t) => {
  const tools = createToolCount()
  const update = (callId: string, status: string) => tools.update({ callId, status })
  update('a', 'running')
  update('a', 'running')
  update('b', 'running')
  update('a', 'completed')
  t.equal(tools.count(), 1)
  update('b', 'error')
  t.equal(tools.count(), 0)
})

t.test('reports a Kilo that is busy for long and makes no progress', async (t) => {
  const { clock, reports, silence } = given([false], { silenceMs: 100, progressMs: 1000 })
  using _ = silence
  await clock.advance(550)
  silence.activity()
  await clock.advance(999)
  t.notOk(reports.includes('no progress'), 'an event starts the count again')
  await clock.advance(100)
  t.equal(reports.at(-1), 'no progress')
  const polls = reports.length
  await clock.advance(5000)
  t.equal(reports.length, polls, 'and polls no more')
})

t.test(
  'reports no lack of progress while a tool runs, nor before the turn has begun',
  async (t) => {
    let tools = 1
    const bounds = { silenceMs: 100, progressMs: 1000 }
    const busy = given([false], { ...bounds, toolsRunning: () => tools })
    using _ = busy.silence
    await busy.clock.advance(5000)
    t.notOk(busy.reports.includes('no progress'))
    tools = 0
    await busy.clock.advance(200)
    t.ok(busy.reports.includes('no progress'))

    const waiting = given([false], { ...bounds, begun: false })
    using _other = waiting.silence
    await waiting.clock.advance(5000)
    t.notOk(waiting.reports.includes('no progress'))
  }
)
