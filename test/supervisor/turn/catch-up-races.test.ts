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
  ...['text', 'reasoning-then-tool', 'write-new-file', 'bash-parallel', 'todo', 'model-500-once'],
  ...['subagent', 'subagent-parallel', 'subagent-permission', 'permission-reject', 'question']
]
const RUNS = 150

/**
 * What may happen next, besides Kilo's saying something: one of the requests under way goes on, the stream is torn or
 * stands again, or a turn is looked at while its stream lives.
 */
type Move = 'say' | 'answer' | 'tear' | 'look'

const move: fc.Arbitrary<Move> = fc.oneof(
  { weight: 12, arbitrary: fc.constant('say' as const) },
  { weight: 12, arbitrary: fc.constant('answer' as const) },
  { weight: 1, arbitrary: fc.constant('tear' as const) },
  { weight: 2, arbitrary: fc.constant('look' as const) }
)

/** A turn of a recording, and who reads it; `requests` are those on their way to Kilo, or back. */
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
    ...{ requests, events, translator, sayNext: kilo.sayNext },
    read: () => catchUp(facts),
    hear(data: string) {
      const heard = sequence.track(data)
      if (heard.kind === 'event') translator.translate(heard.payload).forEach(emit)
    },
    /** Its end, if nobody has heard of it. */
    finish() {
      if (!isOver) emit(translator.finish(translator.closeReason() ?? 'error'))
      return { events, inexact }
    }
  }
}

/** Reads the turn while the moves happen to it; answers what was told of it. */
async function readTurn(recording: Recording, moves: Iterator<Move>, luck: () => number) {
  const turn = begin(recording)
  const { requests, translator, hear } = turn
  /** What a new connection has received while it was being caught up with; undefined: it is told at once. */
  let received: string[] | undefined
  let isTorn = false
  let reading = Promise.resolve()
  let readings = 0

  // One after the other, as the reconciler sees to it.
  const read = (afterwards = () => {}) => {
    readings += 1
    reading = reading.then(async () => {
      await turn.read()
      afterwards()
      readings -= 1
    })
  }
  /** A stream that stands again is not listened to before what was missed has been read. */
  const standAgain = () => {
    isTorn = false
    received = []
    read(() => {
      translator.gapClosed()
      received?.forEach(hear)
      received = undefined
    })
  }
  const act = async (next: Move) => {
    if (next === 'say') {
      const data = turn.sayNext()
      if (data === undefined) return false
      if (received) received.push(data)
      else if (!isTorn) hear(data)
    } else if (next === 'answer') {
      requests.splice(Math.floor(luck() * requests.length), 1).forEach((answer) => answer())
      await settle()
    } else if (next === 'look') {
      if (readings === 0) read()
    } else if (isTorn) standAgain()
    else if (!received) {
      isTorn = true
      translator.gapOpened()
    }
    return true
  }
  const finishReading = async () => {
    while (readings > 0) await act('answer')
  }

  while (await act(moves.next().value as Move));
  await finishReading()
  if (isTorn) standAgain()
  else read()
  await finishReading()
  return turn.finish()
}

/** The part of what was told that must not depend on when it was heard. */
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

/** What happened to the questions of a turn, in order: `asked per_1`, `closed per_1`. */
const asking = (events: readonly AgentEvent[]) =>
  events.flatMap((event) => {
    if (event.type === 'permission.asked') return [`asked ${event.permissionId}`]
    if (event.type === 'question.asked') return [`asked ${event.questionId}`]
    return event.type === 'prompt.closed' ? [`closed ${event.promptId}`] : []
  })

/** Whether all that was asked was closed, after it and not before; what was not heard in time may not be asked at all. */
const isAnswered = (said: readonly string[]) =>
  said
    .filter((one) => one.startsWith('asked '))
    .every((one) => said.lastIndexOf(one) < said.indexOf(one.replace('asked', 'closed')))

const isUnique = (things: readonly unknown[]) =>
  new Set(things.map((thing) => JSON.stringify(thing))).size === things.length

t.test('whenever it was heard, read or lost, a turn is told whole and once', async (t) => {
  for (const scene of SCENES) {
    await t.test(scene, async (t) => {
      const recording = await readRecording(scene)
      const undisturbed = await readTurn(recording, always('say'), () => 0)
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
})

t.test(
  'a list that is heard while an older one is being read is the one that counts',
  async (t) => {
    const recording = await readRecording('todo')
    const { requests, events, sayNext, hear, read } = begin(recording)
    const untilList = (listen: (data: string) => void) => {
      for (let data = sayNext(); data !== undefined; data = sayNext()) {
        listen(data)
        if (data.includes('"type":"todo.updated"')) return
      }
    }
    const answerAll = async () => {
      requests.splice(0).forEach((answer) => answer())
      await settle()
    }

    untilList(hear)
    const reading = read()
    // The statuses, the sessions, and then everything else on its way to Kilo.
    for (let half = 0; half < 5; half++) await answerAll()
    untilList(hear)
    await answerAll()
    await reading
    const lists = events.filter(({ type }) => type === 'todo.updated')
    t.equal(lists.length, 2)
    t.match(lists.at(-1), { items: [{ status: 'completed' }, { status: 'in_progress' }] })
  }
)

function* always(next: Move): Generator<Move> {
  for (;;) yield next
}
