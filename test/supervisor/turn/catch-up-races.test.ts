import assert from 'node:assert/strict'
import { setImmediate as settle } from 'node:timers/promises'
import fc from 'fast-check'
import t from 'tap'
import { readRecording, STABLE, type Recording } from '#fixtures'
import type { AgentEvent } from '#kernel/agent-events.ts'
import { catchUp, type CatchUpFacts } from '../../../supervisor/turn/catch-up.ts'
import { createSequenceTracker } from '../../../supervisor/stream/sequence.ts'
import { createTurnTranslator } from '../../../supervisor/kilo/translator.ts'
import { createRelativePath } from '../../../supervisor/kilo/paths.ts'
import { createRedact } from '../../../supervisor/redact.ts'
import { recordedKilo } from '../recorded-kilo.ts'

const SCENES = [
  'text',
  'reasoning-then-tool',
  'write-new-file',
  'bash-parallel',
  'todo',
  'model-500-once',
  'subagent',
  'subagent-parallel',
  'subagent-permission',
  'permission-reject',
  'question'
]
const RUNS = 150

/**
 * The next step: Kilo sends a message, one of the requests under way proceeds, the stream breaks or is open again, or
 * the turn is polled while its stream is open.
 */
type Move = 'send' | 'answer' | 'break' | 'poll'

const move: fc.Arbitrary<Move> = fc.oneof(
  { weight: 12, arbitrary: fc.constant('send' as const) },
  { weight: 12, arbitrary: fc.constant('answer' as const) },
  { weight: 1, arbitrary: fc.constant('break' as const) },
  { weight: 2, arbitrary: fc.constant('poll' as const) }
)

/** A turn of a recording and its reader; `requests` are under way to Kilo, or back. */
function begin(recording: Recording) {
  const requests: (() => void)[] = []
  const kilo = recordedKilo(recording, () => new Promise((resolve) => requests.push(resolve)))
  const events: AgentEvent[] = []
  let inexact = 0
  let isOver = false
  const emit = (event: AgentEvent) => {
    if (isOver) return
    isOver = event.type === 'turn.finished'
    events.push(event)
  }
  const { rootSessionId } = recording
  const translator = createTurnTranslator({
    rootSessionId,
    relative: createRelativePath([STABLE.worktree]),
    redact: createRedact([]),
    now: () => new Date(STABLE.epochMs),
    onInexact: () => (inexact += 1),
    onNetworkAsked: () => {}
  })
  const sequence = createSequenceTracker()
  const client = kilo.client as CatchUpFacts['client']
  const facts = { client, sequence, translator, rootSessionId, promptedAtMs: 0, emit }

  return {
    requests,
    events,
    translator,
    sendNext: kilo.sendNext,
    read: () => catchUp(facts),
    receive(data: string) {
      const message = sequence.track(data)
      if (message.kind === 'event') translator.translate(message.payload).forEach(emit)
    },
    /** Ends the turn if its end was missed. */
    finish() {
      if (!isOver) emit(translator.finish(translator.closeReason() ?? 'error'))
      return { events, inexact }
    }
  }
}

/** Reads the turn while the moves happen to it, and resolves with the emitted events. */
async function readTurn(recording: Recording, moves: Iterator<Move>, luck: () => number) {
  const turn = begin(recording)
  const { requests, translator, receive } = turn
  /** The messages that a new connection has received during its catch-up; undefined: they are handled immediately. */
  let received: string[] | undefined
  let isBroken = false
  let reading = Promise.resolve()
  let readings = 0

  // Serial, as in the silence watch.
  const read = (afterwards = () => {}) => {
    readings += 1
    reading = reading.then(async () => {
      await turn.read()
      afterwards()
      readings -= 1
    })
  }
  /** The messages of a stream that is open again wait until the missed events have been read. */
  const reconnect = () => {
    isBroken = false
    received = []
    read(() => {
      translator.gapClosed()
      received?.forEach(receive)
      received = undefined
    })
  }
  const act = async (next: Move) => {
    if (next === 'send') {
      const data = turn.sendNext()
      if (data === undefined) return false
      if (received) received.push(data)
      else if (!isBroken) receive(data)
    } else if (next === 'answer') {
      requests.splice(Math.floor(luck() * requests.length), 1).forEach((answer) => answer())
      await settle()
    } else if (next === 'poll') {
      if (readings === 0) read()
    } else if (isBroken) reconnect()
    else if (!received) {
      isBroken = true
      translator.gapOpened()
    }
    return true
  }
  const finishReading = async () => {
    while (readings > 0) await act('answer')
  }

  while (await act(moves.next().value as Move));
  await finishReading()
  if (isBroken) reconnect()
  else read()
  await finishReading()
  return turn.finish()
}

/** The part of the events that must not depend on when they were received. */
function gist(events: readonly AgentEvent[]) {
  const texts: Record<string, string> = {}
  const of = <T extends AgentEvent['type']>(type: T) =>
    events.filter((event): event is Extract<AgentEvent, { type: T }> => event.type === type)
  for (const { partId, text } of of('text.appended')) texts[partId] = (texts[partId] ?? '') + text
  return {
    texts,
    tools: of('tool.updated').filter(({ status }) => status !== 'running'),
    todos: of('todo.updated').at(-1),
    steps: of('usage.reported'),
    outcome: events.at(-1)
  }
}

/** What happened to the requests of a turn, in order: `asked per_1`, `closed per_1`. */
const asking = (events: readonly AgentEvent[]) =>
  events.flatMap((event) => {
    if (event.type === 'permission.asked') return [`asked ${event.permissionId}`]
    if (event.type === 'question.asked') return [`asked ${event.questionId}`]
    return event.type === 'prompt.closed' ? [`closed ${event.promptId}`] : []
  })

/** Whether every request was closed after it was asked; a request that was missed may not be asked at all. */
const isAnswered = (steps: readonly string[]) =>
  steps
    .filter((one) => one.startsWith('asked '))
    .every((one) => steps.lastIndexOf(one) < steps.indexOf(one.replace('asked', 'closed')))

const isUnique = (things: readonly unknown[]) =>
  new Set(things.map((thing) => JSON.stringify(thing))).size === things.length

t.test(
  'emits a turn completely and once, whenever its events are received, read or lost',
  async (t) => {
    for (const scene of SCENES) {
      await t.test(scene, async (t) => {
        const recording = await readRecording(scene)
        const undisturbed = await readTurn(recording, always('send'), () => 0)
        const expected = gist(undisturbed.events)
        t.match(expected.outcome, { type: 'turn.finished' })

        const property = fc.asyncProperty(
          fc.infiniteStream(move),
          fc.infiniteStream(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })),
          async (moves, luck) => {
            const { events, inexact } = await readTurn(recording, moves, () => luck.next().value)
            assert.deepEqual(gist(events), expected)
            assert.equal(inexact, 0)
            const asked = asking(events)
            assert.ok(isUnique(asked.filter((one) => one.startsWith('asked '))), 'asked once')
            assert.ok(isAnswered(asked), asked.join(', '))
            assert.ok(events.filter(({ type }) => type === 'turn.opened').length <= 1)
          }
        )
        await t.resolves(fc.assert(property, { numRuns: RUNS }))
      })
    }
  }
)

t.test('prefers a live to-do list to an older one that is being read', async (t) => {
  const recording = await readRecording('todo')
  const { requests, events, sendNext, receive, read } = begin(recording)
  const untilList = (handle: (data: string) => void) => {
    for (let data = sendNext(); data !== undefined; data = sendNext()) {
      handle(data)
      if (data.includes('"type":"todo.updated"')) return
    }
  }
  const answerAll = async () => {
    requests.splice(0).forEach((answer) => answer())
    await settle()
  }

  untilList(receive)
  const reading = read()
  // The statuses, the sessions, and then all other requests under way to Kilo.
  for (let half = 0; half < 5; half++) await answerAll()
  untilList(receive)
  await answerAll()
  await reading
  const lists = events.filter(({ type }) => type === 'todo.updated')
  t.equal(lists.length, 2)
  t.match(lists.at(-1), { items: [{ status: 'completed' }, { status: 'in_progress' }] })
})

function* always(next: Move): Generator<Move> {
  for (;;) yield next
}
