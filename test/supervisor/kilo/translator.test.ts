import fc from 'fast-check'
import t from 'tap'
import type { AgentEvent } from '#kernel/agent-events.ts'
import { createTurnTranslator } from '../../../supervisor/kilo/translator.ts'
import { createRelativePath } from '../../../supervisor/kilo/paths.ts'
import { createTextParts } from '../../../supervisor/kilo/parts/text.ts'
import { createRedact } from '../../../supervisor/redact.ts'

const ROOT = 'ses_root'
const NOW = new Date('2026-01-01T12:00:00Z')

function translator() {
  let inexact = 0
  const networkAsks: string[] = []
  const turn = createTurnTranslator({
    rootSessionId: ROOT,
    relative: createRelativePath(['/work', '/srv/p/worktree']),
    redact: createRedact(['the-password']),
    now: () => NOW,
    onInexact: () => (inexact += 1),
    onNetworkAsked: (id) => networkAsks.push(id)
  })
  return {
    turn,
    inexact: () => inexact,
    networkAsks,
    translate: (type: string, properties: object = {}): AgentEvent[] =>
      turn.translate({ type, properties })
  }
}

const message = (id: string, more: object = {}) => ({
  info: {
    id,
    sessionID: ROOT,
    role: 'assistant',
    time: { created: 1 },
    providerID: 'anthropic',
    modelID: 'm/1',
    ...more
  }
})
const part = (more: object) => ({
  part: { id: 'prt_1', sessionID: ROOT, messageID: 'msg_1', ...more }
})
const tool = (state: object, name = 'bash') =>
  part({ type: 'tool', tool: name, callID: 'call_1', state })

t.test('translates each of Kilo’s events', async (t) => {
  const cases: [string, string, object, AgentEvent[]][] = [
    ['a turn opens', 'session.turn.open', { sessionID: ROOT }, [{ type: 'turn.opened' }]],
    ['the turn of another session', 'session.turn.open', { sessionID: 'ses_x' }, []],
    ['the second copy of an event', 'sync', {}, []],
    ['a heartbeat', 'server.heartbeat', {}, []],
    ['idle is not the end', 'session.idle', { sessionID: ROOT }, []],
    ['an error is not the end', 'session.error', { sessionID: ROOT }, []],
    [
      'an unrecognised event',
      'session.danced',
      {},
      [{ type: 'unrecognised', name: 'session.danced' }]
    ],
    [
      'a known event without its properties',
      'todo.updated',
      {},
      [{ type: 'unrecognised', name: 'todo.updated' }]
    ],
    [
      'an unrecognised part',
      'message.part.updated',
      part({ type: 'hologram' }),
      [{ type: 'unrecognised', name: 'part:hologram' }]
    ],
    ['a pending tool', 'message.part.updated', tool({ status: 'pending', input: {} }), []],
    [
      'a running tool',
      'message.part.updated',
      tool({ status: 'running', input: { command: 'ls' } }),
      [
        {
          type: 'tool.updated',
          callId: 'prt_1',
          tool: 'bash',
          status: 'running',
          title: 'ls',
          input: { command: 'ls' },
          mayWrite: false
        }
      ]
    ],
    [
      'a tool that read',
      'message.part.updated',
      tool(
        { status: 'completed', input: { filePath: '/work/a.ts' }, output: 'x', title: 'work/a.ts' },
        'read'
      ),
      [
        {
          type: 'tool.updated',
          callId: 'prt_1',
          tool: 'read',
          status: 'completed',
          title: 'a.ts',
          input: { filePath: 'a.ts' },
          output: 'x',
          mayWrite: false
        }
      ]
    ],
    [
      'a tool that failed',
      'message.part.updated',
      tool({ status: 'error', input: { filePath: '/etc/passwd' }, error: 'no' }, 'write'),
      [
        {
          type: 'tool.updated',
          callId: 'prt_1',
          tool: 'write',
          status: 'error',
          title: '/etc/passwd',
          input: { filePath: '/etc/passwd' },
          output: 'no',
          mayWrite: true
        }
      ]
    ],
    [
      'a permission',
      'permission.asked',
      {
        id: 'per_1',
        sessionID: ROOT,
        permission: 'edit',
        patterns: ['/work/src/a.ts'],
        metadata: { filepath: '/srv/p/worktree/src/a.ts' }
      },
      [
        {
          type: 'permission.asked',
          permissionId: 'per_1',
          kind: 'edit',
          patterns: ['src/a.ts'],
          title: 'src/a.ts'
        }
      ]
    ],
    [
      'a retry',
      'session.status',
      {
        sessionID: ROOT,
        status: { type: 'retry', attempt: 1, message: 'the-password', next: NOW.getTime() + 4000 }
      },
      [{ type: 'notice', text: 'The model answered “[redacted]”; trying again in 4 s.' }]
    ],
    [
      'the end',
      'session.turn.close',
      { sessionID: ROOT, reason: 'interrupted' },
      [{ type: 'turn.finished', outcome: { kind: 'interrupted' } }]
    ]
  ]
  for (const [title, type, properties, expected] of cases) {
    const { translate } = translator()
    if (type.startsWith('message.part.')) translate('message.updated', message('msg_1'))
    t.same(translate(type, properties), expected, title)
  }
})

t.test('emits a repeated event once', async (t) => {
  const { translate } = translator()
  translate('message.updated', message('msg_1'))
  const step = part({
    type: 'step-finish',
    cost: 0.5,
    tokens: { input: 7, output: 3, reasoning: 2, cache: { read: 5, write: 1 } }
  })
  t.same(translate('message.part.updated', step), [
    {
      type: 'usage.reported',
      stepId: 'prt_1',
      agentSessionId: ROOT,
      model: 'anthropic/m/1',
      usage: { input: 7, output: 3, reasoning: 2, cacheRead: 5, cacheWrite: 1 },
      costUsd: 0.5
    }
  ])
  t.same(translate('message.part.updated', step), [])

  const running = (title?: string) => tool({ status: 'running', input: { command: 'ls' }, title })
  const { translate: again } = translator()
  again('message.updated', message('msg_1'))
  t.equal(again('message.part.updated', running()).length, 1)
  t.equal(again('message.part.updated', running()).length, 0, 'another line of output')
  t.equal(again('message.part.updated', running('list')).length, 1, 'another title')
  const ended = tool({ status: 'completed', input: { command: 'ls' }, output: '' })
  t.equal(again('message.part.updated', ended).length, 1)
  t.equal(again('message.part.updated', running()).length, 0, 'late')
  t.equal(again('session.danced').length, 1)
  t.equal(again('session.danced').length, 0)
})

t.test('translates how a turn ended', async (t) => {
  const failed = (data: object, name = 'APIError') => ({ error: { name, data } })
  const cases: [string, string, object | undefined, object][] = [
    ['well', 'completed', { finish: 'stop' }, { kind: 'completed' }],
    ['too long', 'completed', { finish: 'length' }, { kind: 'completed' }],
    ['oddly', 'completed', { finish: 'dance' }, { kind: 'failed', reason: 'model_error' }],
    ['without an answer', 'completed', undefined, { kind: 'failed', reason: 'model_error' }],
    [
      'with an error all the same',
      'completed',
      failed({ message: 'm', statusCode: 400 }),
      {
        kind: 'failed',
        reason: 'model_error',
        message: 'm',
        status: 400
      }
    ],
    [
      'slow down',
      'error',
      failed({ message: 'm', statusCode: 429 }),
      { reason: 'model_rate_limited' }
    ],
    ['overloaded', 'error', failed({ message: 'm', statusCode: 529 }), { reason: 'model_error' }],
    [
      'in the middle of an answer',
      'error',
      failed({ message: '{"type":"overloaded_error","message":"Overloaded"}' }),
      { reason: 'model_error', message: 'Overloaded' }
    ],
    ['oddly', 'error', failed({ message: '{"a":1}' }), { message: '{"a":1}' }],
    ['brokenly', 'error', failed({ message: '{oh' }), { message: '{oh' }],
    [
      'reset',
      'error',
      failed({ message: 'Connection reset by server' }),
      { reason: 'model_unreachable' }
    ],
    ['silent', 'error', failed({ message: 'SSE read timed out' }), { reason: 'model_unreachable' }],
    [
      'too much',
      'error',
      failed({ message: 'network' }, 'ContextOverflowError'),
      { reason: 'model_error' }
    ],
    ['stopped', 'interrupted', failed({}, 'MessageAbortedError'), { kind: 'interrupted' }]
  ]
  for (const [title, reason, info, expected] of cases) {
    const { translate } = translator()
    if (info) translate('message.updated', message('msg_1', info))
    t.match(
      translate('session.turn.close', { sessionID: ROOT, reason }),
      [{ outcome: expected }],
      title
    )
  }
  const { translate } = translator()
  translate('session.error', {
    sessionID: ROOT,
    ...failed({ message: 'x'.repeat(900), statusCode: 401 })
  })
  const [end] = translate('session.turn.close', { sessionID: ROOT, reason: 'error' })
  t.equal(
    end?.type === 'turn.finished' && end.outcome.kind === 'failed' && end.outcome.message.length,
    500
  )
})

t.test('emits what sub-agents do, and not their texts', async (t) => {
  const { translate, turn } = translator()
  const child = { sessionID: 'ses_child' }
  translate('session.created', { info: { id: 'ses_child', parentID: ROOT } })
  translate('session.created', { info: { id: 'ses_grandchild', parentID: 'ses_child' } })
  translate('session.created', { info: { id: 'ses_other' } })
  t.same([...turn.sessions], [ROOT, 'ses_child', 'ses_grandchild'])

  translate('message.updated', message('msg_1', child))
  t.same(
    translate(
      'message.part.updated',
      part({ ...child, type: 'text', text: 'hi', time: { end: 1 } })
    ),
    []
  )
  t.same(translate('session.turn.close', { ...child, reason: 'completed' }), [])
  t.equal(
    translate(
      'message.part.updated',
      part({ ...child, ...tool({ status: 'running' }).part, ...child })
    ).length,
    1
  )
})

t.test('ignores parts of an earlier turn, also when Kilo changes them now', async (t) => {
  const { translate } = translator()
  translate('message.updated', message('msg_1'))
  const old = { messageID: 'msg_0' }
  const pruned = tool({ status: 'completed', input: { command: 'ls' }, output: '' }).part
  const tokens = { input: 7, output: 3, reasoning: 2, cache: { read: 5, write: 1 } }
  t.same(translate('message.part.updated', { part: { ...pruned, ...old } }), [])
  t.same(
    translate('message.part.updated', part({ type: 'step-finish', cost: 1, tokens, ...old })),
    []
  )
})

t.test('emits no texts but those of the model', async (t) => {
  const { translate } = translator()
  const text = part({ type: 'text', text: 'hi', time: { end: 1 } })
  translate('message.updated', message('msg_1', { role: 'user' }))
  t.same(translate('message.part.updated', text), [], 'the user’s')
  translate('message.updated', message('msg_1', { summary: true }))
  t.same(translate('message.part.updated', text), [], 'a summary of the conversation')
})

/** One step of a text part. */
type Step = { delta: string } | { repeat: true } | { gap: true }

t.test('emits pieces that, joined, are the text, whatever is received and how often', async () => {
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 5, arbitrary: fc.string({ unit: 'grapheme' }).map((delta) => ({ delta })) },
    { weight: 2, arbitrary: fc.constantFrom(' ', '\n', ' \n\n').map((delta) => ({ delta })) },
    // Providers cut between the two halves of a character too.
    { weight: 1, arbitrary: fc.constantFrom('\ud83d', '\ude00').map((delta) => ({ delta })) },
    { weight: 1, arbitrary: fc.constant({ repeat: true } as const) },
    { weight: 1, arbitrary: fc.constant({ gap: true } as const) }
  )
  fc.assert(
    fc.property(
      fc.array(step),
      fc.array(fc.boolean()),
      fc.boolean(),
      fc.boolean(),
      (steps, losses, trims, openingLost) => {
        let inexact = 0
        const texts = createTextParts(() => (inexact += 1))
        const pieces: string[] = []
        const see = (text: string, final: boolean) => {
          const event = texts.see({ partId: 'p', source: 'assistant', text, final, live: true })
          if (event) pieces.push(event.text)
        }
        let whole = ''
        let losing = false
        if (!openingLost) see('', false)
        steps.forEach((step, at) => {
          if ('gap' in step) {
            texts.gapOpened()
            losing = true
          } else if ('repeat' in step) {
            see('', false)
          } else {
            whole += step.delta
            // After a gap any of the frames may be lost.
            if (losing && losses[at]) return
            const event = texts.append('p', step.delta)
            if (event) pieces.push(event.text)
          }
        })
        const end = trims ? whole.trimEnd() : whole
        see(end, true)
        see(end, true)
        see('', false)
        return pieces.join('') === end && inexact === 0
      }
    )
  )
})

t.test('emits a character as a whole, wherever the provider has cut it', (t) => {
  const texts = createTextParts(() => t.fail('inexact'))
  texts.see({ partId: 'p', source: 'assistant', text: '', final: false, live: true })
  const emitted = ['so \ud83d', '\ude00\ud83d', '\ude00!'].map((delta) => texts.append('p', delta))
  t.match(emitted, [{ text: 'so' }, { text: ' \u{1f600}' }, { text: '\u{1f600}!' }])
  t.end()
})

t.test('counts a text that contradicts the emitted one, and emits nothing more', async (t) => {
  const { translate, inexact } = translator()
  translate('message.updated', message('msg_1'))
  const see = (text: string, end?: number) =>
    translate('message.part.updated', part({ type: 'reasoning', text, time: { end } }))
  see('')
  const delta = { sessionID: ROOT, messageID: 'msg_1', partID: 'prt_1', field: 'text' }
  t.match(translate('message.part.delta', { ...delta, delta: 'one two' }), [
    { type: 'text.appended', source: 'reasoning', text: 'one two' }
  ])
  t.same(see('three', 1), [])
  t.equal(inexact(), 1)
})
