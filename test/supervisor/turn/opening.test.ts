import t from 'tap'
import { AGENT_TIMES } from '../../../supervisor/options.ts'
import { createTurnOpening, type TurnOpeningOptions } from '../../../supervisor/turn/opening.ts'
import { decideOpening } from '../../../supervisor/turn/opening-policy.ts'
import { createManualClock } from '../manual-clock.ts'

const { turnOpenMs, turnOpenMaxMs } = AGENT_TIMES

t.test('decides whether a turn that has not begun is awaited', async (t) => {
  const early = { waitedMs: turnOpenMs, hasError: false }
  const late = { waitedMs: turnOpenMaxMs, hasError: false }
  for (const [title, facts, expected] of [
    ['Kilo does not respond', { ...early, answer: 'none' }, 'stall'],
    ['Kilo is busy with the turn', { ...early, answer: 'busy' }, 'wait'],
    ['Kilo is busy with the turn for long', { ...late, answer: 'busy' }, 'wait'],
    ['Kilo responds and is idle', { ...early, answer: 'idle' }, 'wait'],
    ['Kilo is idle for too long', { ...late, answer: 'idle' }, 'stall'],
    ['Kilo is idle after an error', { ...early, hasError: true, answer: 'idle' }, 'stall']
  ] as const) {
    t.equal(decideOpening(facts, turnOpenMaxMs), expected, title)
  }
})

/** A Kilo that accepts a prompt and begins no turn. */
function given(kilo: { responds?: boolean; busy?: boolean; error?: string } = {}) {
  const clock = createManualClock()
  const stalls: string[] = []
  let isOver = false
  const respond = async <T>(value: T) => {
    if (kilo.responds === false) throw new Error('timeout')
    return value
  }
  const client = {
    prompt: async () => {},
    version: () => respond('7.7.7'),
    statuses: () => respond(new Map(kilo.busy ? [['ses_1', { type: 'busy' }]] : []))
  }
  const opening = createTurnOpening({
    host: {
      client: client as unknown as TurnOpeningOptions['host']['client'],
      clock,
      times: AGENT_TIMES,
      redact: (text) => text,
      endedWithin: () => Promise.resolve(undefined)
    },
    turn: { agentSessionId: 'ses_1', mode: 'code', model: 'a/b', text: 'hello' },
    ending: {
      isOver: () => isOver,
      fail: ({ message }) => stalls.push(`failed: ${message}`),
      async stall(message) {
        isOver = true
        stalls.push(message)
      },
      cancelAgain: () => {}
    },
    catchUp: () => respond(undefined),
    lastError: () => kilo.error
  })
  opening.sendPrompt()
  return { clock, stalls, opening }
}

t.test('waits for a Kilo that responds and has not begun yet', async (t) => {
  const { clock, stalls, opening } = given()
  await clock.advance(turnOpenMaxMs - 1)
  t.same(stalls, [])
  opening.begun()
  await clock.advance(2 * turnOpenMaxMs)
  t.same(stalls, [], 'and for the turn that then begins')
})

t.test('stalls when Kilo responds and begins nothing within the bound', async (t) => {
  const { clock, stalls } = given()
  await clock.advance(turnOpenMaxMs + turnOpenMs)
  t.same(stalls, ['Kilo accepted the prompt and started no turn.'])
})

t.test('waits without a bound for a session that is busy', async (t) => {
  const { clock, stalls, opening } = given({ busy: true })
  await clock.advance(10 * turnOpenMaxMs)
  t.same(stalls, [])
  opening[Symbol.dispose]()
})

t.test('stalls at the first timeout when Kilo does not respond', async (t) => {
  const { clock, stalls } = given({ responds: false })
  await clock.advance(turnOpenMs - 1)
  t.same(stalls, [])
  await clock.advance(1)
  await clock.advance(0)
  t.same(stalls, ['Kilo accepted the prompt and does not respond any more.'])
})

t.test('stalls at the first timeout when Kilo reported an error', async (t) => {
  const { clock, stalls } = given({ error: 'no such agent' })
  await clock.advance(turnOpenMs)
  await clock.advance(0)
  t.same(stalls, ['Kilo accepted the prompt and started no turn: no such agent'])
})

t.test('asks nothing after it was disposed', async (t) => {
  const { clock, stalls, opening } = given({ responds: false })
  await clock.advance(0)
  opening[Symbol.dispose]()
  await clock.advance(10 * turnOpenMaxMs)
  t.same(stalls, [])
})
