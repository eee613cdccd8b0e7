import t from 'tap'
import { createSilenceWatch } from '../../../supervisor/turn/silence-watch.ts'
import { createManualClock } from '../manual-clock.ts'

const NEVER_MS = 600_000

/** A turn whose polls find these answers in turn, and the last of them from then on. */
function given(answers: (boolean | 'no answer')[], { begun = true, silenceMs = NEVER_MS } = {}) {
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
    hasBegun: () => begun,
    onOver: () => reports.push('over'),
    onUnresponsive: () => reports.push('unresponsive')
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
