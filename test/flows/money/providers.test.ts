import t, { type Test } from 'tap'
import { priceOf, readPriceList, type Price } from '#billing'
import { script, type Step, type Wire } from '#fixtures'
import { parseCredits, toCredits } from '#kernel/money.ts'
import { givenProject, startProduct, type Story } from '../../helpers/product.ts'
import { sampleOf } from '../../helpers/property.ts'

const OPENAI = 'openai-compatible/scripted'
const ANTHROPIC = 'anthropic/scripted'
const SILENCE_MS = 3000

const say = 'A few words that the model says.'
const write = (path: string) => ({
  tool: 'write',
  input: { filePath: `{{worktree}}/${path}`, content: 'x\n' }
})
/** A usage block with the names of both protocols. */
const block = (input: unknown, output: unknown) => ({
  ...{ prompt_tokens: input, completion_tokens: output },
  ...{ input_tokens: input, output_tokens: output }
})
const page = (body: string, contentType: string): Wire => ({ body, contentType })

interface Row {
  readonly says: string
  readonly steps: readonly Step[]
  /** What the job pays: the true price, about that, or nothing because it fails with this code and message. */
  readonly pays: 'exactly' | 'about' | { readonly code: string; readonly message?: RegExp }
  readonly only?: string
}

const fails = (says: string, step: Step, message?: RegExp, code = 'model_error'): Row => ({
  says,
  steps: [step, { say: 'never' }],
  pays: { code, ...(message && { message }) }
})
const pays = (how: 'exactly' | 'about', says: string, ...steps: Step[]): Row => ({
  says,
  steps,
  pays: how
})
const known = { say, usage: { input: 700, output: 30 }, usageLate: true } as const
const counts = (says: string, ...usage: unknown[]): Row =>
  pays('about', says, { ...known, wire: { usage } })

const ROWS: readonly Row[] = [
  pays('exactly', 'a good answer', { say }),
  pays('exactly', 'compressed', { say, wire: { encoding: 'gzip' } }),
  pays(
    'exactly',
    'whole instead of a stream',
    { ...write('a.txt'), wire: { whole: true } },
    { say }
  ),
  pays('exactly', 'stays open and sends comments', {
    say,
    wire: { staysOpen: true, commentMs: 50 }
  }),
  pays('exactly', 'no last event', { say, wire: { noLastEvent: true } }),
  pays('exactly', 'another content type', { say, wire: { contentType: 'text/plain' } }),
  pays('exactly', 'usage in several blocks, and zeros in the last', {
    ...known,
    wire: { usage: [block(700, 0), block(0, 30), block(0, 0)] }
  }),
  { ...pays('exactly', 'usage in the choice', { say, wire: { usageIn: 'choice' } }), only: OPENAI },
  {
    ...pays('exactly', 'usage in a field of its own', { say, wire: { usageIn: 'x_groq' } }),
    only: OPENAI
  },
  pays(
    'exactly',
    'one id for two tool calls',
    { tools: [write('b.txt'), write('c.txt')], wire: { callId: 'call_1' } },
    { say }
  ),
  pays(
    'exactly',
    'tool calls without ids',
    { tools: [write('d.txt'), write('e.txt')], wire: { callId: '' } },
    { say }
  ),
  // Kilo cannot read a message without usage: such a job fails.
  { ...pays('about', 'no usage', { say, noUsage: true }), only: OPENAI },
  { ...pays('about', 'an empty usage block', { say, wire: { usage: [{}] } }), only: OPENAI },
  pays('about', 'only zeros', { say, usageLate: true, wire: { usage: [block(0, 0)] } }),
  counts('a negative count', block(700, -5)),
  pays('about', 'a fraction', { say, usageLate: true, wire: { usage: [block(1000.5, 30)] } }),
  counts('an absurd count', block(700, 10 ** 15)),
  fails('nothing', { wire: { body: '' } }, /answered with nothing/),
  fails('only the end', { wire: { body: 'data: [DONE]\n\n' } }, /without content/),
  fails(
    'an error with status 200',
    { wire: page('{"error":{"message":"provider disconnected"}}', 'application/json') },
    /reported an error in its answer: “provider disconnected”/
  ),
  fails(
    'JSON that is no answer',
    { wire: page('{"ok":true}', 'application/json') },
    /did not send an answer/
  ),
  fails('a page', { wire: page('<html>Sign in</html>', 'text/html') }, /Sign in/),
  fails('a stop without content', { say: '' }, /sent an answer without content/),
  fails(
    'an answer without an end',
    { say: 'half', noFinish: true, wire: { noLastEvent: true } },
    /ended its answer in the middle/
  ),
  fails(
    'an error within the stream',
    { say: 'half', fail: 'mid', message: 'provider disconnected' },
    /“provider disconnected”/
  ),
  fails('broken JSON', { say: 'half', malformed: true }, /model provider/),
  fails(
    'pings instead of content',
    { say, chunks: 8, hang: 'mid', wire: { commentMs: 100 } },
    undefined,
    'model_unreachable'
  ),
  fails('silence before the answer', { hang: 'headers' }, undefined, 'model_unreachable'),
  fails(
    'a connection that breaks',
    { say: 'half '.repeat(20), reset: 'mid' },
    undefined,
    'model_unreachable'
  ),
  fails('a refused key', { fail: 401 }),
  fails('payment required', { fail: 402 }),
  fails(
    'an unknown model',
    { fail: 404 },
    /does not have the model .* is the default|does not have the model/
  ),
  fails('a fault of its own', { fail: 500 }),
  fails('too many requests', { fail: 429 }, undefined, 'model_rate_limited'),
  fails(
    'a long wait',
    { fail: 429, retryAfter: 3600 },
    /next request in 3600 s, at 2\d{3}-/,
    'model_rate_limited'
  )
]

/** One server and one agent: each misbehaviour of a provider, and after it an ordinary job. */
t.test('what a job pays, however its provider misbehaves', async (t) => {
  const { model, admin, user } = await startProduct(t, {
    env: (url) => ({ ANTHROPIC_API_KEY: 'key', ANTHROPIC_BASE_URL: url }),
    tuning: {
      agents: { modelTimeouts: { headerMs: SILENCE_MS }, modelRetriesMax: 0 },
      gateway: { times: { silenceMs: SILENCE_MS } }
    }
  })
  const prices = await readPriceList()
  const client = await user(10_000)
  const project = await givenProject(client)
  const wallet = async () =>
    (await client.call<{ balance: number; reserved: number }>('GET', '/wallet')).body

  /** A job, with the true price of what its model served. */
  const play = async (name: string, steps: readonly Step[]) => {
    const [from, before] = [model.requests.length, await wallet()]
    const story = await project.run(script(...steps), { model: name })
    const price = prices.find(name) as Price
    const served = model.requests.slice(from)
    const due = served.reduce((sum, { usage }) => sum + priceOf(usage, price), 0n)
    const { charged } = (story.last.data as { credits: { charged: number } }).credits
    const after = await wallet()
    t.match(after, { balance: Number((before.balance - charged).toFixed(6)), reserved: 0 })
    return { story, due, charged, served }
  }

  // Both protocols are played through the gateway alone in every run; here one of them, and both in the deep run.
  for (const [lane, row] of ROWS.entries()) {
    const names = row.only === undefined ? sampleOf([OPENAI, ANTHROPIC], 1, lane) : [row.only]
    for (const name of names) {
      await t.test(`${name}: ${row.says}`, async (t) => {
        const played = await play(name, row.steps)
        checkEnd(t, row, played)
        // A job that pays exactly for itself is one that followed another already.
        if (row.pays === 'exactly') return
        const next = await play(name, [{ say: 'ordinary' }])
        t.equal(next.story.last.type, 'job:success', JSON.stringify(next.story.last.data))
        t.equal(next.served.length, 1)
        t.equal(parseCredits(next.charged), next.due, 'the next job pays its own')
      })
    }
  }
  const { body: metrics } = await admin.call<string>('GET', '/metrics')
  const sums = metrics.split('\n').filter((line) => line.startsWith('kilowatt_ledger_audit{'))
  t.ok(sums.length >= 5 && sums.every((line) => line.endsWith(' 0')))
})

function checkEnd(
  t: Test,
  { pays }: Row,
  { story, due, charged }: { story: Story; due: bigint; charged: number }
): void {
  if (typeof pays === 'object') {
    const error = story.only('job:error')
    t.match(error, { ...pays, credits: { charged: 0, refunded: error.credits.reserved } })
    return
  }
  t.equal(story.last.type, 'job:success', JSON.stringify(story.last.data))
  t.match(story.text(), say)
  if (pays === 'exactly') return void t.equal(parseCredits(charged), due)
  const ratio = charged / toCredits(due as never)
  t.ok(ratio > 0.5 && ratio < 2, `${ratio} of the true price`)
}
