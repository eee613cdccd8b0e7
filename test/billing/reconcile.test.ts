import t from 'tap'
import { reconcile, type ModelRequest, type Step } from '#billing'
import { NO_USAGE } from '#kernel/agent-events.ts'

const tokens = (input: number, output = 5) => ({ ...NO_USAGE, input, output })

const request = (
  id: string,
  usage = tokens(10),
  more: Partial<ModelRequest> = {}
): Parameters<typeof reconcile>[1][number] => ({
  ...{ id, usage, agentSessionId: 's', kind: 'turn', outcome: 'served', state: 'done' },
  ...more
})
const step = (stepId: string, usage = tokens(10), agentSessionId = 's'): Step => ({
  ...{ stepId, usage, agentSessionId, model: 'a/b' }
})

t.test('session metadata and the gateway, step by step', async (t) => {
  const cases: [string, Step[], ReturnType<typeof request>[], object[]][] = [
    ['both saw the same', [step('1'), step('2')], [request('a'), request('b')], []],
    [
      'in another order, since subagents are parallel',
      [step('1', tokens(1)), step('2', tokens(2))],
      [request('b', tokens(2)), request('a', tokens(1))],
      []
    ],
    [
      'a title, a refused try and a broken-off step are only the gateway’s',
      [step('1', tokens(3))],
      [
        request('try', NO_USAGE, { outcome: 'refused', status: 429 }),
        request('a', tokens(3)),
        request('title', tokens(9), { kind: 'title' }),
        request('broken', tokens(4), { outcome: 'estimated' })
      ],
      []
    ],
    [
      'the provider reported no usage, so the metadata has none',
      [step('1', NO_USAGE)],
      [request('a', tokens(7), { outcome: 'estimated' })],
      []
    ],
    [
      'cache writes that one of them has no word for',
      [step('1', { ...NO_USAGE, input: 10, output: 5 })],
      [request('a', { ...NO_USAGE, input: 4, cacheWrite: 6, output: 5 })],
      []
    ],
    [
      'another number',
      [step('1', tokens(11))],
      [request('a')],
      [{ stepId: '1', said: tokens(11), counted: tokens(10), requestId: 'a' }]
    ],
    [
      'an exact one is not taken by another step’s doubt',
      [step('1', tokens(11)), step('2')],
      [request('a'), request('b', tokens(12))],
      [{ stepId: '1', requestId: 'b' }]
    ],
    [
      'a step that bypassed the gateway',
      [step('1'), step('2', tokens(10), 'other')],
      [request('a')],
      [{ stepId: '2', agentSessionId: 'other', counted: null, requestId: null }]
    ]
  ]
  for (const [says, steps, requests, expected] of cases) {
    const found = reconcile(steps, requests)
    t.equal(found.length, expected.length, says)
    t.match(found, expected, says)
  }
})
