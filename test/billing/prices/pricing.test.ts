import t from 'tap'
import * as fc from 'fast-check'
import { ceilingOf, costUsd, priceOf, readPriceList, type Price } from '#billing'
import { NO_USAGE, type Usage } from '#kernel/agent-events.ts'
import { check } from '../../helpers/property.ts'

const sonnet: Price = {
  model: 'anthropic/sonnet',
  input: 3_000_000n,
  output: 15_000_000n,
  cacheRead: 300_000n,
  cacheWrite: 3_750_000n,
  tiers: [],
  creditPicoUsd: 10_000_000_000n
}
const tiered: Price = {
  ...sonnet,
  tiers: [
    { aboveTokens: 100, input: 6_000_000n, output: 30_000_000n, cacheRead: 1n, cacheWrite: 2n },
    { aboveTokens: 200, input: 9_000_000n, output: 0n, cacheRead: 3n, cacheWrite: 4n }
  ]
}

t.test('what a request costs, in microcredits', async (t) => {
  for (const [says, price, usage, expected] of [
    ['nothing', sonnet, {}, 0n],
    ['one input token: $0.000003 is 300 microcredits', sonnet, { input: 1 }, 300n],
    ['one output token', sonnet, { output: 1 }, 1_500n],
    ['reasoning is output', sonnet, { reasoning: 1 }, 1_500n],
    ['one token from the cache', sonnet, { cacheRead: 1 }, 30n],
    ['one token into the cache', sonnet, { cacheWrite: 1 }, 375n],
    ['a million in: $3 is 300 credits', sonnet, { input: 1_000_000 }, 300_000_000n],
    ['a turn', sonnet, { input: 2_100, output: 60 }, 720_000n],
    ['a crumb is a whole microcredit', { ...sonnet, input: 1n }, { input: 1 }, 1n],
    [
      'crumbs are rounded together, once',
      { ...sonnet, input: 1n, output: 1n },
      { input: 1, output: 1 },
      1n
    ],
    ['a crumb above a whole one', { ...sonnet, input: 1n }, { input: 10_001 }, 2n],
    ['exactly at the threshold', tiered, { input: 100 }, 30_000n],
    ['above the threshold, all of it', tiered, { input: 101, output: 1 }, 63_600n],
    ['the cache is part of the prompt', tiered, { input: 1, cacheRead: 100 }, 601n],
    ['what is written to it as well', tiered, { input: 1, cacheWrite: 100 }, 601n],
    ['output is not', tiered, { input: 1, output: 1_000 }, 1_500_300n],
    ['the second tier', tiered, { input: 201, output: 5 }, 180_900n]
  ] as const) {
    t.equal(priceOf({ ...NO_USAGE, ...usage }, price), expected, says)
  }
})

t.test('only whole numbers of tokens have a price', async (t) => {
  for (const input of [-1, 0.5, Number.NaN, Infinity, 2 ** 53]) {
    t.throws(() => priceOf({ ...NO_USAGE, input }, sonnet), `${input}`)
  }
})

const count = fc.oneof(fc.nat({ max: 300 }), fc.nat({ max: 5_000_000 }))
const usages: fc.Arbitrary<Usage> = fc.record({
  input: count,
  output: count,
  reasoning: count,
  cacheRead: count,
  cacheWrite: count
})
const usd = fc
  .tuple(fc.nat({ max: 200 }), fc.nat({ max: 999_999 }))
  .map(([whole, millionths]) => ({ whole, millionths }))

/** The same sum done by long division over a common denominator, from the dollars as they are written. */
function oracle(usage: Usage, usdPerMillion: readonly { whole: number; millionths: number }[]) {
  const tokens = [usage.input, usage.output, usage.reasoning, usage.cacheRead, usage.cacheWrite]
  let creditsTimes1e10 = 0n
  for (const [i, n] of tokens.entries()) {
    const { whole, millionths } = usdPerMillion[i] ?? { whole: 0, millionths: 0 }
    // n tokens × dollars/1e6 tokens × 100 credits a dollar, in units of 1e-10 credits
    creditsTimes1e10 += BigInt(n) * (BigInt(whole) * 1_000_000n + BigInt(millionths))
  }
  const [microcredits, crumbs] = [creditsTimes1e10 / 10_000n, creditsTimes1e10 % 10_000n]
  return crumbs === 0n ? microcredits : microcredits + 1n
}

t.test('random requests cost what a second way of counting says', async (t) => {
  check(
    fc.property(usages, fc.tuple(usd, usd, usd, usd), (usage, [input, output, read, write]) => {
      const pico = ({ whole, millionths }: typeof input) => BigInt(whole * 1_000_000 + millionths)
      const price: Price = {
        ...sonnet,
        input: pico(input),
        output: pico(output),
        cacheRead: pico(read),
        cacheWrite: pico(write)
      }
      const cost = priceOf(usage, price)
      return (
        cost === oracle(usage, [input, output, output, read, write]) &&
        Math.abs(costUsd(usage, price) * 1e8 - Number(cost)) <= 1 + Number(cost) * 1e-12
      )
    }),
    { usual: 2000, deep: 20_000 }
  )
  t.pass()
})

t.test(
  'no request costs more than its ceiling, and splitting one never makes it cheaper',
  async (t) => {
    const list = await readPriceList()
    const prices = list.models().flatMap((model) => list.find(model) ?? [])
    check(
      fc.property(usages, fc.constantFrom(...prices, tiered), (usage, price) => {
        const prompt = usage.input + usage.cacheRead + usage.cacheWrite
        const cost = priceOf(usage, price)
        return cost <= ceilingOf(prompt, usage.output + usage.reasoning, price)
      }),
      { usual: 1000, deep: 10_000 }
    )
    check(
      fc.property(usages, usages, (a, b) => {
        const joined = priceOf({ ...a, input: a.input + b.input }, sonnet)
        return joined <= priceOf(a, sonnet) + priceOf({ ...NO_USAGE, input: b.input }, sonnet)
      })
    )
    t.pass()
  }
)
