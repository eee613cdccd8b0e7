import { Readable } from 'node:stream'
import t from 'tap'
import { priceOf, type Price } from '#billing'
import type { Step, Wire } from '#fixtures'
import { LIMITS } from '#kernel/limits.ts'
import { createCallIds } from '../../../src/gateway/answers/call-ids.ts'
import { createEventReader } from '../../../src/gateway/answers/answer-reader.ts'
import { openai } from '../../../src/gateway/protocols/openai.ts'
import { decoded } from '../../../src/gateway/answers/content-encoding.ts'
import { ANTHROPIC, ask, bodyOf, givenGateway, OPENAI } from './given-gateway.ts'

type Given = Awaited<ReturnType<typeof givenGateway>>

const say = 'A few words that the model says, in several pieces.'
const SILENCE_MS = 3000

const addressOf = ({ gateway }: Given, model: string) =>
  model === OPENAI
    ? `${gateway.addressOf('openai-compatible')}/chat/completions`
    : `${gateway.addressOf('anthropic')}/messages`

/** The texts of a stream in either protocol, joined. */
function textIn(stream: string): string {
  const events = stream
    .split('\n')
    .filter((line) => line.startsWith('data: {'))
    .map((line) => JSON.parse(line.slice(6)))
  return events
    .map(({ choices, delta }) => choices?.[0]?.delta?.content ?? delta?.text ?? '')
    .join('')
}

t.jobs = 4

t.test('an answer that is sent wrongly arrives all the same', async (t) => {
  const it = await givenGateway(t, { times: { silenceMs: SILENCE_MS } })
  const cases: [string, Step][] = [
    ['compressed with gzip', { say, wire: { encoding: 'gzip' } }],
    ['compressed with deflate', { say, wire: { encoding: 'deflate' } }],
    ['compressed with brotli', { say, wire: { encoding: 'br' } }],
    ['compressed with zstd', { say, wire: { encoding: 'zstd' } }],
    ['a stream with another content type', { say, wire: { contentType: 'text/plain' } }],
    ['a stream with a type in capitals', { say, wire: { contentType: 'Text/Event-Stream' } }],
    ['a whole answer to a request for a stream', { say, wire: { whole: true } }],
    ['the same, called a stream', { say, wire: { whole: true, contentType: 'text/event-stream' } }],
    ['the same, compressed', { say, wire: { whole: true, encoding: 'gzip' } }],
    ['a connection that stays open', { say, wire: { staysOpen: true } }],
    ['the same, with comments', { say, wire: { staysOpen: true, commentMs: 50 } }],
    ['usage, and no last event', { say, wire: { noLastEvent: true } }],
    ['the same, open', { say, wire: { noLastEvent: true, staysOpen: true, commentMs: 50 } }]
  ]
  for (const model of [OPENAI, ANTHROPIC]) {
    const price = it.prices.find(model) as Price
    for (const [says, step] of cases) {
      await t.test(`${model}: ${says}`, async (t) => {
        const job = await it.job({ model })
        const before = performance.now()
        const got = await ask(addressOf(it, model), job.token, bodyOf([step]))
        t.match(got, {
          status: 200,
          broken: false,
          headers: { 'content-type': 'text/event-stream' }
        })
        t.equal(textIn(got.text), say)
        const [row] = await job.closed()
        t.equal(row?.outcome, 'served')
        t.equal(row?.cost, priceOf(it.model.requests.at(-1)!.usage, price))
        t.ok(performance.now() - before < 30_000, 'it has ended')
      })
    }
  }
})

const error = { message: 'The upstream has had enough.', type: 'overloaded', code: 529 }
const json = (value: object) => ({ contentType: 'application/json', body: JSON.stringify(value) })

t.test('what is no answer becomes a failure that says what came', async (t) => {
  const it = await givenGateway(t, { times: { silenceMs: SILENCE_MS } })
  const bodies: [string, Wire, RegExp][] = [
    ['an empty body', { body: '' }, /answered with nothing \(status 200, text\/event-stream\)/],
    ['an empty JSON body', { body: '', contentType: 'application/json' }, /answered with nothing/],
    ['only the end', { body: 'data: [DONE]\n\n' }, /without content .*“data: \[DONE\]”/],
    ['only comments', { body: ': here\n\n: still here\n\n' }, /ended its answer in the middle/],
    ['an error with status 200', json({ error }), /reported an error .*had enough/],
    ['JSON that is no answer', json({ ok: true }), /did not send an answer .*\{\\"ok\\":true\}/],
    ['a page', { body: '<html>Sign in</html>', contentType: 'text/html' }, /text\/html\).*Sign in/]
  ]
  for (const model of [OPENAI, ANTHROPIC]) {
    const askFor = async (step: Step) => {
      const job = await it.job({ model })
      const got = await ask(addressOf(it, model), job.token, bodyOf([step]))
      await job.closed()
      return got
    }
    for (const [says, wire, message] of bodies) {
      const { text, broken } = await askFor({ wire })
      t.match(text, message, `${model}: ${says}`)
      t.notOk(broken)
    }
    for (const [says, step] of [
      ['a stop without content', { finish: undefined, say: '' }],
      ['an invisible text', { say: '\u200b\u2060' }],
      ['a whole answer without content', { say: '', wire: { whole: true } }]
    ] as [string, Step][]) {
      const { text } = await askFor(step)
      t.match(text, /sent an answer without content/, `${model}: ${says}`)
    }
    const cut = await askFor({ say, noFinish: true, wire: { noLastEvent: true } })
    t.match(cut.text, /ended its answer in the middle/, `${model}: no end`)
    t.equal(textIn(cut.text), say, 'after its text')
    const long = await askFor({ say: '', finish: 'length' })
    t.notMatch(long.text, /without content/, 'an answer that was cut short may be empty')
  }
})

t.test('an event without an end is bounded', (t) => {
  const callIds = createCallIds()
  const reader = createEventReader({ protocol: openai, count: openai.count(), callIds })
  const piece = Buffer.alloc(4 * 1024 * 1024, 'x')
  reader.feed(Buffer.from('data: '))
  const feed = () => {
    for (let fed = 0; fed <= LIMITS.modelAnswerBytesMax; fed += piece.length) reader.feed(piece)
  }
  t.throws(feed, /too large/)
  t.end()
})

t.test('refuses an encoding that it does not know', async (t) => {
  for (const encoding of ['compress', 'gzip, br, gzip, br', 'GZIP, dcb']) {
    t.type(decoded(Readable.from([]), encoding), 'string', encoding)
  }
  const body = Readable.from([])
  for (const encoding of [undefined, '', 'identity', ' Identity ']) {
    t.equal(decoded(body, encoding), body)
  }
})

t.test('pings are no progress', async (t) => {
  const it = await givenGateway(t, { times: { silenceMs: 1000 } })
  for (const model of [OPENAI, ANTHROPIC]) {
    const job = await it.job({ model })
    const step = { say, hang: 'mid', wire: { commentMs: 100 } } as const
    const { broken } = await ask(addressOf(it, model), job.token, bodyOf([step]))
    t.ok(broken, model)
    t.match(await job.closed(), [{ outcome: 'estimated' }])
  }
})

t.test('usage that cannot be true is estimated and counted', async (t) => {
  const it = await givenGateway(t)
  const wrong = [{}, { prompt_tokens: 1000.5, completion_tokens: 5, output_tokens: -5 }]
  for (const model of [OPENAI, ANTHROPIC]) {
    const price = it.prices.find(model) as Price
    for (const usage of wrong) {
      const job = await it.job({ model })
      await ask(addressOf(it, model), job.token, bodyOf([{ say, wire: { usage: [usage] } }]))
      const [row] = await job.closed()
      t.equal(row?.outcome, 'estimated')
      const due = Number(priceOf(it.model.requests.at(-1)!.usage, price))
      const ratio = Number(row?.cost) / due
      t.ok(ratio > 0.5 && ratio < 2, `${model}: ${ratio} of the true cost`)
    }
    const split = [
      { prompt_tokens: 700, input_tokens: 700 },
      { completion_tokens: 30, output_tokens: 30 },
      { prompt_tokens: 0, completion_tokens: 0, input_tokens: 0, output_tokens: 0 }
    ]
    const job = await it.job({ model })
    const step = { say, usageLate: true, wire: { usage: split } }
    await ask(addressOf(it, model), job.token, bodyOf([step]))
    t.match(await job.closed(), [{ outcome: 'served', usage: { input: 700, output: 30 } }])
  }
  const counted = it.metrics.filter(({ kind }) => kind === 'implausible-usage')
  t.equal(counted.length, 2, 'a count that is missing is not a wrong one')
})

t.test('after the results of its tools a model may have nothing to add', async (t) => {
  const it = await givenGateway(t)
  const prompt = bodyOf([{ say }, { say: '' }]).messages[0]!
  const histories: [string, object[]][] = [
    [
      OPENAI,
      [
        { role: 'assistant', content: 'x' },
        { role: 'tool', content: 'done', tool_call_id: '1' }
      ]
    ],
    [
      ANTHROPIC,
      [
        { role: 'assistant', content: [{ type: 'tool_use', id: '1', name: 'x', input: {} }] },
        { role: 'user', content: [{ type: 'tool_result', tool_use_id: '1', content: 'done' }] }
      ]
    ]
  ]
  for (const [model, history] of histories) {
    const job = await it.job({ model })
    const messages = [prompt, ...history]
    const { status, text } = await ask(addressOf(it, model), job.token, bodyOf([], { messages }))
    t.equal(status, 200)
    t.equal(textIn(text), '')
    t.notMatch(text, /without content/, model)
  }
})
