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
    hear: (type: string, properties: unknown) => turn.translate(payload(type, properties)),
    recall: (type: string, properties: unknown) => turn.translateMissed(payload(type, properties))
  }
}

const message = (id: string, more: object = {}) => ({
  info: { id, sessionID: ROOT, role: 'assistant', time: { created: 1 }, ...more }
})
const part = (id: string, more: object) => ({
  part: { id, sessionID: ROOT, messageID: 'msg_1', ...more }
})
const permission = (id: string, sessionID: string) => ({
  ...{ id, sessionID, permission: 'bash', patterns: ['ls'], metadata: { command: 'ls' } }
})
const types = (events: readonly AgentEvent[]) => events.map(({ type }) => type)

t.test('what a sub-agent does belongs to the turn, however late we hear whose it is', async (t) => {
  const birth = (id: string, parentID: string) => ({ info: { id, parentID } })

  await t.test('by its birth', async (t) => {
    const { hear } = given()
    t.same(hear('permission.asked', permission('per_1', 'ses_child')), [])
    t.same(types(hear('session.created', birth('ses_child', ROOT))), ['permission.asked'])
    t.same(hear('permission.asked', permission('per_1', 'ses_child')), [], 'once')
  })
  await t.test('by a later word of it', async (t) => {
    const { hear } = given()
    hear('permission.asked', permission('per_1', 'ses_child'))
    t.same(types(hear('session.updated', birth('ses_child', ROOT))), ['permission.asked'])
  })
  await t.test('by the tool that called it', async (t) => {
    const { hear } = given()
    hear('message.updated', message('msg_1'))
    hear('permission.asked', permission('per_1', 'ses_child'))
    const state = { status: 'running', input: {}, metadata: { sessionId: 'ses_child' } }
    const told = hear('message.part.updated', part('prt_1', { type: 'tool', tool: 'task', state }))
    t.same(types(told), ['tool.updated', 'permission.asked'])
  })
  await t.test('a grandchild that was born before its parent was', async (t) => {
    const { hear, turn } = given()
    hear('session.created', birth('ses_grandchild', 'ses_child'))
    hear('permission.asked', permission('per_1', 'ses_grandchild'))
    t.same(types(hear('session.created', birth('ses_child', ROOT))), ['permission.asked'])
    t.ok(turn.sessions.has('ses_grandchild'))
  })
  await t.test('nobody else’s', async (t) => {
    const { hear, turn } = given()
    hear('permission.asked', permission('per_1', 'ses_x'))
    t.same(hear('session.created', birth('ses_x', 'ses_y')), [])
    t.same(hear('session.created', birth('ses_y', 'ses_x')), [], 'a ring of strangers')
    t.same([...turn.sessions], [ROOT])
    t.same(turn.asks.open(), [])
  })
})

t.test('what is read is told like what is heard, and only what is new', async (t) => {
  const { hear, recall } = given()
  const todos = [{ content: 'a', status: 'pending', priority: 'low' }]
  t.same(recall('todo.updated', { sessionID: ROOT, todos }), [], 'a list of an earlier turn')
  t.same(types(recall('message.updated', message('msg_1'))), ['turn.opened'])
  t.same(hear('session.turn.open', { sessionID: ROOT }), [])
  const tool = (status: string) =>
    part('prt_1', { type: 'tool', tool: 'todowrite', state: { status, input: {} } })
  t.same(types(recall('message.part.updated', tool('running'))), ['tool.updated'])
  t.same(hear('message.part.updated', tool('running')), [])
  t.same(types(hear('todo.updated', { sessionID: ROOT, todos })), ['todo.updated'])
  t.same(recall('todo.updated', { sessionID: ROOT, todos }), [])
  const old = { ...tool('completed').part, id: 'prt_0', messageID: 'msg_0' }
  t.same(recall('message.part.updated', { part: old }), [], 'of an earlier turn')
})

t.test(
  'a conversation that was summed up says so once, as soon as the summary is whole',
  async (t) => {
    const { hear, recall } = given()
    const summary = (more: object) => message('msg_1', { summary: true, ...more })
    hear('session.turn.open', { sessionID: ROOT })
    t.same(hear('message.updated', summary({})), [])
    const whole = summary({ time: { created: 1, completed: 2 } })
    t.match(hear('message.updated', whole), [{ type: 'notice', text: /summarised/ }])
    t.same(recall('message.updated', whole), [])
  }
)

t.test('what is read is not newer than what was heard meanwhile', async (t) => {
  const { hear, recall, turn } = given()
  const done = { time: { created: 1, completed: 2 }, finish: 'stop' }
  hear('message.updated', message('msg_1', done))
  hear('message.updated', message('msg_2', done))
  recall('message.updated', message('msg_2'))
  recall('message.updated', message('msg_1', { ...done, finish: 'content-filter' }))
  t.match(turn.finish('completed'), { outcome: { kind: 'completed' } })

  hear('permission.replied', { sessionID: ROOT, requestID: 'per_1' })
  t.same(recall('permission.asked', permission('per_1', ROOT)), [], 'it is answered')
})

t.test('what an earlier turn was asked and nobody answered is not asked again', async (t) => {
  const { hear, recall } = given()
  hear('message.updated', message('msg_1'))
  const asked = (id: string, messageID: string) => ({
    ...permission(id, ROOT),
    tool: { messageID, callID: 'call_1' }
  })
  t.same(recall('permission.asked', asked('per_1', 'msg_0')), [])
  t.same(types(recall('permission.asked', asked('per_2', 'msg_1'))), ['permission.asked'])
  const question = { id: 'que_1', sessionID: ROOT, questions: [] }
  t.same(recall('question.asked', { ...question, tool: { messageID: 'msg_0' } }), [])
})

t.test('a wait for the network is answered once', async (t) => {
  const { hear, recall, waits } = given()
  hear('session.network.asked', { id: 'que_1', sessionID: ROOT })
  recall('session.network.asked', { id: 'que_1', sessionID: ROOT })
  hear('session.network.asked', { id: 'que_2', sessionID: 'ses_x' })
  t.same(waits, ['que_1'])
})

t.test('nothing that can be said breaks a turn', async () => {
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
      (said) => {
        const { turn } = given()
        for (const [type, properties, live] of said) {
          const payload = { type, properties }
          turn.concerns(payload)
          const told = live ? turn.translate(payload) : turn.translateMissed(payload)
          for (const event of told) if (event.type === 'unrecognised') assertShort(event.name)
        }
      }
    )
  )
})

function assertShort(name: string) {
  if (name.length > 100) throw new Error(`a name of ${name.length} characters`)
}

/** One thing that happens to a stream of two texts and two thoughts. */
type Step =
  | { do: 'delta'; of: number; text: string }
  | { do: 'end'; of: number }
  | { do: 'repeat' | 'tear' | 'doubt' | 'remove'; of: number }

t.test(
  'whatever was heard, read again or lost: each text is told whole, once, and in order',
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
            'tear' as const,
            'doubt' as const,
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
          const { hear, recall, turn, inexact } = given()
          const parts = [0, 1, 2, 3].map((of) => ({
            ...{ id: `prt_${of}`, type: of % 2 === 0 ? 'text' : 'reasoning', text: '' },
            ...{ begun: false, ended: false }
          }))
          const told = new Map<string, string>()
          const take = (events: readonly AgentEvent[]) => {
            for (const event of events) {
              if (event.type !== 'text.appended') continue
              told.set(event.partId, (told.get(event.partId) ?? '') + event.text)
            }
          }
          /** Kilo's history: what is read after a tear. */
          const history: [string, unknown][] = []
          let losing = false
          const say = (type: string, properties: unknown, durable: boolean) => {
            if (durable) history.push([type, properties])
            const isLost = losing && luck.next().value === true
            if (!isLost) take(hear(type, properties))
          }
          const snapshot = (of: number) => {
            const { id, type, text, ended } = parts[of]!
            const time = ended ? { start: 1, end: 2 } : { start: 1 }
            // While it is being told, Kilo's own memory of a text is empty.
            return part(id, { type, text: ended ? text : '', time })
          }
          const begin = (of: number) => {
            if (parts[of]!.begun) return
            parts[of]!.begun = true
            say('message.part.updated', snapshot(of), true)
          }
          const end = (of: number) => {
            begin(of)
            const one = parts[of]!
            if (one.ended) return
            one.ended = true
            if (trims) one.text = one.text.trimEnd()
            say('message.part.updated', snapshot(of), true)
          }
          const readAgain = () => {
            for (const [type, properties] of history) take(recall(type, properties))
            turn.gapClosed()
            losing = false
          }

          say('message.updated', message('msg_1'), true)
          for (const { do: what, of, ...more } of steps) {
            const one = parts[of]!
            if (what === 'delta' && !one.ended && 'text' in more) {
              begin(of)
              one.text += more.text
              const delta = { sessionID: ROOT, messageID: 'msg_1', partID: one.id, field: 'text' }
              say('message.part.delta', { ...delta, delta: more.text }, false)
            }
            if (what === 'end') end(of)
            if (what === 'repeat' && one.begun) say('message.part.updated', snapshot(of), false)
            if (what === 'doubt') hear('message.part.delta', { sessionID: ROOT, delta: null })
            if (what === 'remove')
              say('message.part.removed', { sessionID: ROOT, partID: 'prt_9' }, true)
            if (what === 'tear' && losing) {
              readAgain()
            } else if (what === 'tear') {
              turn.gapOpened()
              losing = luck.next().value === true
              if (!losing) readAgain()
            }
          }
          parts.forEach((_, of) => end(of))
          turn.gapOpened()
          readAgain()
          const expected = parts.filter(({ text }) => text !== '').map(({ id, text }) => [id, text])
          const sorted = [...told].toSorted(([a], [b]) => (a < b ? -1 : 1))
          return inexact() === 0 && JSON.stringify(sorted) === JSON.stringify(expected)
        }
      ),
      { numRuns: 500 }
    )
  }
)
