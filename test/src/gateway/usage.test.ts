import * as fc from 'fast-check'
import t from 'tap'
import { NO_USAGE, type Usage } from '#kernel/agent-events.ts'
import { anthropic } from '../../../src/gateway/protocols/anthropic.ts'
import { openai } from '../../../src/gateway/protocols/openai.ts'
import type { AnswerCount } from '../../../src/gateway/protocols/protocol.ts'
import { check } from '../../helpers/property.ts'

const text = (words: string) => ({ choices: [{ delta: { content: words } }] })
const openaiCount = (...chunks: object[]): AnswerCount => {
  const count = openai.count()
  for (const chunk of [text('Four words of text'), ...chunks]) count.read(chunk)
  return count
}
const block = (usage: unknown) => ({ choices: [], usage })

t.test('reads the usage of every provider of chat completions', (t) => {
  const shapes: [provider: string, chunk: object, usage: Partial<Usage>][] = [
    ['OpenAI', block({ prompt_tokens: 10, completion_tokens: 5 }), { input: 10, output: 5 }],
    [
      'OpenAI, from its cache, with reasoning inside of the answer',
      block({
        ...{ prompt_tokens: 1000, completion_tokens: 50, total_tokens: 1050 },
        prompt_tokens_details: { cached_tokens: 300 },
        completion_tokens_details: { reasoning_tokens: 20 }
      }),
      { input: 700, cacheRead: 300, output: 30, reasoning: 20 }
    ],
    [
      'xAI: reasoning beside the answer, as the total says',
      block({
        ...{ prompt_tokens: 100, completion_tokens: 10, total_tokens: 410 },
        completion_tokens_details: { reasoning_tokens: 300 }
      }),
      { input: 100, output: 10, reasoning: 300 }
    ],
    [
      'Gemini: thoughts in the total only',
      block({ prompt_tokens: 100, completion_tokens: 10, total_tokens: 410 }),
      { input: 100, output: 10, reasoning: 300 }
    ],
    [
      'DeepSeek: hits of its cache are a part of the prompt',
      block({
        ...{ prompt_tokens: 100, completion_tokens: 10, total_tokens: 110 },
        ...{ prompt_cache_hit_tokens: 64, prompt_cache_miss_tokens: 36 }
      }),
      { input: 36, cacheRead: 64, output: 10 }
    ],
    [
      'Kimi: usage in the choice, cached tokens beside the others',
      {
        choices: [
          { delta: {}, usage: { prompt_tokens: 9, completion_tokens: 2, cached_tokens: 4 } }
        ]
      },
      { input: 5, cacheRead: 4, output: 2 }
    ],
    [
      'Groq: usage in a field of its own',
      { choices: [], x_groq: { usage: { prompt_tokens: 9, completion_tokens: 2 } } },
      { input: 9, output: 2 }
    ],
    [
      'Anthropic’s names, with the cache inside of the prompt',
      block({
        ...{ prompt_tokens: 100, completion_tokens: 10, total_tokens: 110 },
        ...{ cache_read_input_tokens: 60, cache_creation_input_tokens: 30 }
      }),
      { input: 10, cacheRead: 60, cacheWrite: 30, output: 10 }
    ],
    [
      'Anthropic’s names, with the cache beside the prompt',
      block({
        ...{ prompt_tokens: 10, completion_tokens: 10, total_tokens: 110 },
        ...{ cache_read_input_tokens: 60, cache_creation_input_tokens: 30 }
      }),
      { input: 10, cacheRead: 60, cacheWrite: 30, output: 10 }
    ]
  ]
  for (const [provider, chunk, usage] of shapes) {
    t.same(openaiCount(chunk).reported(), { ...NO_USAGE, ...usage }, provider)
  }
  t.end()
})

const GOOD = { prompt_tokens: 100, completion_tokens: 20 }

t.test('estimates what cannot be true', (t) => {
  const impossible: [string, unknown][] = [
    ['nothing', {}],
    ['only zeros', { prompt_tokens: 0, completion_tokens: 0 }],
    ['no prompt', { prompt_tokens: 0, completion_tokens: 20 }],
    ['no answer although it has text', { prompt_tokens: 100, completion_tokens: 0 }],
    ['a negative number', { ...GOOD, completion_tokens: -1 }],
    ['a fraction', { ...GOOD, prompt_tokens: 1000.5 }],
    ['an absurd number', { ...GOOD, completion_tokens: 10 ** 15 }],
    ['a text', { ...GOOD, completion_tokens: '20' }],
    [
      'an absurd number for the cache',
      { ...GOOD, prompt_tokens_details: { cached_tokens: 10 ** 15 } }
    ]
  ]
  for (const [says, usage] of impossible) {
    const count = openaiCount(block(usage))
    t.equal(count.reported(), undefined, says)
    const known = count.known(77)
    t.ok([77, 100].includes(known.input), `${says}: the prompt is ${known.input}`)
    t.ok(known.output >= 5, `${says}: the answer is ${known.output}`)
  }
  t.equal(
    openaiCount(block({})).isImplausible(),
    false,
    'a count that is missing is not a wrong one'
  )
  t.equal(openaiCount(block({ ...GOOD, completion_tokens: -1 })).isImplausible(), true)
  t.equal(openaiCount(block(GOOD)).isImplausible(), false)

  const count = anthropic.count()
  count.read({ type: 'message_start', message: { usage: { input_tokens: 100, output_tokens: 1 } } })
  count.read({ type: 'content_block_delta', delta: { text: 'Four words of text' } })
  count.read({
    type: 'message_delta',
    delta: { stop_reason: 'end_turn' },
    usage: { output_tokens: 0 }
  })
  t.match(count.known(77), { input: 100, output: 5 }, 'also in the other protocol')
  t.end()
})

const tokens = fc.integer({ min: 1, max: 100_000 })
/** A part of the whole number in percent; or a field that is missing or null. */
const part = fc.oneof(fc.integer({ min: 0, max: 100 }), fc.constantFrom(undefined, null))
const partOf = (whole: number, percent: number | null | undefined) =>
  typeof percent === 'number' ? Math.floor((whole * percent) / 100) : percent

t.test('no order of blocks lowers a count, or makes a text free', async () => {
  const parts = fc.array(fc.tuple(part, part), { maxLength: 8 })
  await check(
    fc.asyncProperty(tokens, tokens, parts, fc.nat(), async (prompt, answer, others, at) => {
      const blocks = others.map(([one, other]) => [partOf(prompt, one), partOf(answer, other)])
      const mixed = blocks.toSpliced(at % (blocks.length + 1), 0, [prompt, answer])
      const chunks = mixed.map(([one, other]) =>
        block({ prompt_tokens: one, completion_tokens: other })
      )
      const event = { type: 'content_block_delta', delta: { text: 'Four words of text' } }
      const messages = anthropic.count()
      messages.read(event)
      for (const [one, other] of mixed) {
        const usage = { input_tokens: one, output_tokens: other }
        messages.read({ type: 'message_delta', usage })
      }
      for (const count of [openaiCount(...chunks), messages]) {
        const usage = count.reported()
        if (usage?.input !== prompt || usage.output !== answer) {
          throw new Error(JSON.stringify(usage))
        }
      }
    })
  )
  await check(
    fc.asyncProperty(fc.array(fc.jsonValue(), { maxLength: 4 }), async (blocks) => {
      const count = openaiCount(...blocks.map(block))
      const usage = count.reported() ?? count.known(10)
      const numbers = Object.values(usage)
      if (!numbers.every((one) => Number.isSafeInteger(one) && one >= 0))
        throw new Error('no tokens')
      if (usage.output + usage.reasoning === 0) throw new Error('a free answer')
      if (usage.input + usage.cacheRead + usage.cacheWrite === 0) throw new Error('a free prompt')
    })
  )
})
