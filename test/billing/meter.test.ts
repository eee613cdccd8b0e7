import t from 'tap'
import { createMeter, priceOf, readPriceList } from '#billing'
import { NO_USAGE } from '#kernel/agent-events.ts'

const MODEL = 'anthropic/scripted'

t.test('a meter adds steps up, and the last word on a step wins', async (t) => {
  const meter = createMeter(await readPriceList())
  t.same(meter.total(), { cost: 0n, usage: { ...NO_USAGE, costUsd: 0 } })

  meter.add('1', MODEL, { ...NO_USAGE, input: 10, output: 1 })
  meter.add('2', 'openai-compatible/scripted', { ...NO_USAGE, reasoning: 4, cacheRead: 100 })
  meter.add('1', MODEL, { ...NO_USAGE, input: 1_000, output: 50, cacheWrite: 8 })
  t.same(meter.total(), {
    cost: 300_000n + 75_000n + 3_000n + 6_000n + 3_000n,
    usage: {
      input: 1_000,
      output: 50,
      reasoning: 4,
      cacheRead: 100,
      cacheWrite: 8,
      costUsd: 0.00387
    }
  })
})

t.test('each request is rounded up on its own, the dollars are not', async (t) => {
  const prices = await readPriceList()
  const price = prices.find(MODEL)
  if (!price) return t.fail('no price')
  const crumb = { ...price, input: 1n }
  const meter = createMeter({ find: () => crumb })
  for (const step of ['a', 'b', 'c']) meter.add(step, MODEL, { ...NO_USAGE, input: 1 })
  t.equal(meter.total().cost, 3n)
  t.equal(meter.total().cost, priceOf({ ...NO_USAGE, input: 20_001 }, crumb))
  t.equal(meter.total().usage.costUsd, 3e-12)
})

t.test('a model without a price ends the job, and counts for nothing', async (t) => {
  const meter = createMeter(await readPriceList())
  t.throws(() => meter.add('1', 'anthropic/mystery', NO_USAGE), {
    name: 'JobFailure',
    code: 'model_error',
    message: 'The model anthropic/mystery has no price'
  })
  t.equal(meter.total().cost, 0n)
})
