import fc from 'fast-check'
import t from 'tap'
import type { AgentEvent } from '#kernel/agent-events.ts'
import { EVENT_DECISIONS } from '../../../supervisor/kilo/decisions.ts'
import { createTurnTranslator } from '../../../supervisor/kilo/translator.ts'
import { createRelativePath } from '../../../supervisor/kilo/paths.ts'
import type { KiloPayload } from '../../../supervisor/kilo/schemas.ts'
import { createRedact } from '../../../supervisor/redact.ts'

const ROOT = 'ses_root'

function given() {
  let inexact = 0
  const waits: string[] = []
  const turn = createTurnTranslator({
    rootSessionId: ROOT,
    relative: createRelativePath(['/work']),
    redact: createRedact([]),
    now: () => new Date(0),
    onInexact: () => (inexact += 1),
    onNetworkAsked: (id) => waits.push(id)
  })
  const payload = (type: string, properties: unknown): KiloPayload => ({ type, properties })
  return {
    turn,
    waits,
    inexact: () => inexact,
    translate: (type: string, properties: unknown) => turn.translate(payload(type, properties)),
    translateMissed: (type: string, properties: unknown) =>
      turn.translateMissed(payload(type, properties))
  }
}

const message = (id: string, more: object = {}) => ({
  info: { id, sessionID: ROOT, role: 'assistant', time: { created: 1 }, ...more }
})
const part = (id: string, more: object) => ({
  part: { id, sessionID: ROOT, messageID: 'msg_1', ...more }
})
const permission = (id: string, sessionID: string) => ({
  id,
  sessionID,
  permission: 'bash',
  patterns: ['ls'],
  metadata: { command: 'ls' }
})
const types = (events: readonly AgentEvent[]) => events.map(({ type }) => type)

t.test('assigns a sub-agent’s events to the turn, however late its parent is known', async (t) => {
  const session = (id: string, parentID: string) => ({ info: { id, parentID } })

  await t.test('when its session is created', async (t) => {
    const { translate } = given()
    t.same(translate('permission.asked', permission('per_1', 'ses_child')), [])
    t.same(types(translate('session.created', session('ses_child', ROOT))), ['permission.asked'])
    t.same(translate('permission.asked', permission('per_1', 'ses_child')), [], 'once')
  })
  await t.test('when its session is updated', async (t) => {
    const { translate } = given()
    translate('permission.asked', permission('per_1', 'ses_child'))
    t.same(types(translate('session.updated', session('ses_child', ROOT))), ['permission.asked'])
  })
  await t.test('when the tool that called it is updated', async (t) => {
    const { translate } = given()
    translate('message.updated', message('msg_1'))
    translate('permission.asked', permission('per_1', 'ses_child'))
    const state = { status: 'running', input: {}, metadata: { sessionId: 'ses_child' } }
    const events = translate(
      'message.part.updated',
      part('prt_1', { type: 'tool', tool: 'task', state })
    )
    t.same(types(events), ['tool.updated', 'permission.asked'])
  })
  await t.test('for a grandchild that was created before its parent', async (t) => {
    const { translate, turn } = given()
    translate('session.created', session('ses_grandchild', 'ses_child'))
    translate('permission.asked', permission('per_1', 'ses_grandchild'))
    t.same(types(translate('session.created', session('ses_child', ROOT))), ['permission.asked'])
    t.ok(turn.sessions.has('ses_grandchild'))
  })
  await t.test('but no events of other sessions', async (t) => {
    const { translate, turn } = given()
    translate('permission.asked', permission('per_1', 'ses_x'))
    t.same(translate('session.created', session('ses_x', 'ses_y')), [])
    t.same(translate('session.created', session('ses_y', 'ses_x')), [], 'a cycle of other sessions')
    t.same([...turn.sessions], [ROOT])
    t.same(turn.asks.open(), [])
  })
})

t.test('emits a missed event once, whether it is read or received first', async (t) => {
  const { translate, translateMissed } = given()
  const todos = [{ content: 'a', status: 'pending', priority: 'low' }]
  t.same(
    translateMissed('todo.updated', { sessionID: ROOT, todos }),
    [],
    'a list of an earlier turn'
  )
  t.same(types(translateMissed('message.updated', message('msg_1'))), ['turn.opened'])
  t.same(translate('session.turn.open', { sessionID: ROOT }), [])
  const tool = (status: string) =>
    part('prt_1', { type: 'tool', tool: 'todowrite', state: { status, input: {} } })
  t.same(types(translateMissed('message.part.updated', tool('running'))), ['tool.updated'])
  t.same(translate('message.part.updated', tool('running')), [])
  t.same(types(translate('todo.updated', { sessionID: ROOT, todos })), ['todo.updated'])
  t.same(translateMissed('todo.updated', { sessionID: ROOT, todos }), [])
  const old = { ...tool('completed').part, id: 'prt_0', messageID: 'msg_0' }
  t.same(translateMissed('message.part.updated', { part: old }), [], 'of an earlier turn')
})

t.test(
  'emits one notice for a summarised conversation, when the summary is complete',
  async (t) => {
    const { translate, translateMissed } = given()
    const summary = (more: object) => message('msg_1', { summary: true, ...more })
    translate('session.turn.open', { sessionID: ROOT })
    t.same(translate('message.updated', summary({})), [])
    const complete = summary({ time: { created: 1, completed: 2 } })
    t.match(translate('message.updated', complete), [{ type: 'notice', text: /summarised/ }])
    t.same(translateMissed('message.updated', complete), [])
  }
)

t.test('prefers a live event to an older one that was read', async (t) => {
  const { translate, translateMissed, turn } = given()
  const done = { time: { created: 1, completed: 2 }, finish: 'stop' }
  translate('message.updated', message('msg_1', done))
  translate('message.updated', message('msg_2', done))
  translateMissed('message.updated', message('msg_2'))
  translateMissed('message.updated', message('msg_1', { ...done, finish: 'content-filter' }))
  t.match(turn.finish('completed'), { outcome: { kind: 'completed' } })

  translate('permission.replied', { sessionID: ROOT, requestID: 'per_1' })
  t.same(translateMissed('permission.asked', permission('per_1', ROOT)), [], 'it is answered')
})

t.test('does not emit the unanswered requests of an earlier turn', async (t) => {
  const { translate, translateMissed } = given()
  translate('message.updated', message('msg_1'))
  const asked = (id: string, messageID: string) => ({
    ...permission(id, ROOT),
    tool: { messageID, callID: 'call_1' }
  })
  t.same(translateMissed('permission.asked', asked('per_1', 'msg_0')), [])
  t.same(types(translateMissed('permission.asked', asked('per_2', 'msg_1'))), ['permission.asked'])
  const question = { id: 'que_1', sessionID: ROOT, questions: [] }
  t.same(translateMissed('question.asked', { ...question, tool: { messageID: 'msg_0' } }), [])
})

t.test('answers a wait for the network once', async (t) => {
  const { translate, translateMissed, waits } = given()
  translate('session.network.asked', { id: 'que_1', sessionID: ROOT })
  translateMissed('session.network.asked', { id: 'que_1', sessionID: ROOT })
  translate('session.network.asked', { id: 'que_2', sessionID: 'ses_x' })
  t.same(waits, ['que_1'])
})

t.test('survives any event', async () => {
  const names = Object.keys(EVENT_DECISIONS).map((name) => name.replace('*', 'x'))
  const strange = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', '', 'session.danced']
  const odd = fc.oneof(
    fc.constantFrom<unknown>(null, undefined, '', [], {}, -1, NaN, ROOT, 'x'.repeat(100_000)),
    fc.jsonValue()
  )
  const keys = ['sessionID', 'part', 'info', 'id', 'type', 'state', 'status', '__proto__', 'todos']
  const object = fc.dictionary(fc.constantFrom(...keys), odd)
  const shaped = fc.record(
    {
      ...{ sessionID: fc.constantFrom<unknown>(ROOT, 'ses_x', null), info: object, part: object },
      ...{ status: object, partID: odd, field: fc.constant('text'), delta: odd, requestID: odd },
      ...{ id: odd, todos: odd, patterns: odd, permission: odd, questions: odd, reason: odd }
    },
    { requiredKeys: ['sessionID'] }
  )
  fc.assert(
    fc.property(
      fc.array(
        fc.tuple(fc.constantFrom(...names, ...strange), fc.oneof(shaped, object, odd), fc.boolean())
      ),
      (events) => {
        const { turn } = given()
        for (const [type, properties, live] of events) {
          const payload = { type, properties }
          turn.concerns(payload)
          const translated = live ? turn.translate(payload) : turn.translateMissed(payload)
          for (const event of translated) if (event.type === 'unrecognised') assertShort(event.name)
        }
      }
    )
  )
})

function assertShort(name: string) {
  if (name.length > 100) throw new Error(`a name of ${name.length} characters`)
}

/** One step of a stream of two texts and two reasonings. */
type Step =
  | { do: 'delta'; of: number; text: string }
  | { do: 'end'; of: number }
  | { do: 'repeat' | 'gap' | 'garbage' | 'remove'; of: number }

t.test(
  'emits each text completely, once and in order, whatever is received, read or lost',
  async () => {
    const of = fc.integer({ min: 0, max: 3 })
    const step: fc.Arbitrary<Step> = fc.oneof(
      {
        weight: 8,
        arbitrary: fc.record({
          do: fc.constant('delta' as const),
          of,
          text: fc.oneof(fc.string({ unit: 'grapheme' }), fc.constantFrom(' ', '\n\n'))
        })
      },
      { weight: 2, arbitrary: fc.record({ do: fc.constant('end' as const), of }) },
      {
        weight: 3,
        arbitrary: fc.record({
          do: fc.constantFrom(
            'repeat' as const,
            'gap' as const,
            'garbage' as const,
            'remove' as const
          ),
          of
        })
      }
    )
    fc.assert(
      fc.property(
        fc.array(step),
        fc.infiniteStream(fc.boolean()),
        fc.boolean(),
        (steps, luck, trims) => {
          const { translate, translateMissed, turn, inexact } = given()
          const parts = [0, 1, 2, 3].map((of) => ({
            ...{ id: `prt_${of}`, type: of % 2 === 0 ? 'text' : 'reasoning', text: '' },
            ...{ begun: false, ended: false }
          }))
          const emitted = new Map<string, string>()
          const take = (events: readonly AgentEvent[]) => {
            for (const event of events) {
              if (event.type !== 'text.appended') continue
              emitted.set(event.partId, (emitted.get(event.partId) ?? '') + event.text)
            }
          }
          /** Kilo's history, which is read after a gap. */
          const history: [string, unknown][] = []
          let losing = false
          const send = (type: string, properties: unknown, durable: boolean) => {
            if (durable) history.push([type, properties])
            const isLost = losing && luck.next().value === true
            if (!isLost) take(translate(type, properties))
          }
          const snapshot = (of: number) => {
            const { id, type, text, ended } = parts[of]!
            const time = ended ? { start: 1, end: 2 } : { start: 1 }
            // Kilo's own copy of a text is empty until the text ends.
            return part(id, { type, text: ended ? text : '', time })
          }
          const begin = (of: number) => {
            if (parts[of]!.begun) return
            parts[of]!.begun = true
            send('message.part.updated', snapshot(of), true)
          }
          const end = (of: number) => {
            begin(of)
            const one = parts[of]!
            if (one.ended) return
            one.ended = true
            if (trims) one.text = one.text.trimEnd()
            send('message.part.updated', snapshot(of), true)
          }
          const readAgain = () => {
            for (const [type, properties] of history) take(translateMissed(type, properties))
            turn.gapClosed()
            losing = false
          }

          send('message.updated', message('msg_1'), true)
          for (const { do: what, of, ...more } of steps) {
            const one = parts[of]!
            if (what === 'delta' && !one.ended && 'text' in more) {
              begin(of)
              one.text += more.text
              const delta = { sessionID: ROOT, messageID: 'msg_1', partID: one.id, field: 'text' }
              send('message.part.delta', { ...delta, delta: more.text }, false)
            }
            if (what === 'end') end(of)
            if (what === 'repeat' && one.begun) send('message.part.updated', snapshot(of), false)
            if (what === 'garbage')
              translate('message.part.delta', { sessionID: ROOT, delta: null })
            if (what === 'remove')
              send('message.part.removed', { sessionID: ROOT, partID: 'prt_9' }, true)
            if (what === 'gap' && losing) {
              readAgain()
            } else if (what === 'gap') {
              turn.gapOpened()
              losing = luck.next().value === true
              if (!losing) readAgain()
            }
          }
          parts.forEach((_, of) => end(of))
          turn.gapOpened()
          readAgain()
          const expected = parts.filter(({ text }) => text !== '').map(({ id, text }) => [id, text])
          const sorted = [...emitted].toSorted(([a], [b]) => (a < b ? -1 : 1))
          return inexact() === 0 && JSON.stringify(sorted) === JSON.stringify(expected)
        }
      ),
      { numRuns: 500 }
    )
  }
)
