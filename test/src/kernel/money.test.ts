import t from 'tap'
import { credits, microcredits, parseCredits, toCredits } from '#kernel/money.ts'

t.test('credits are read exactly, or refused', async (t) => {
  for (const [amount, expected] of [
    [0, 0n],
    [1, 1_000_000n],
    [0.000001, 1n],
    [0.0000001, undefined],
    [0.1, 100_000n],
    [1.234567, 1_234_567n],
    [1.2345678, undefined],
    [-1, undefined],
    [Number.NaN, undefined],
    [Infinity, undefined],
    [1e21, undefined]
  ] as const) {
    t.equal(parseCredits(amount), expected, `${amount}`)
  }
})

t.test('what is written can be read again', async (t) => {
  for (const amount of [0n, 1n, 999_999n, 1_000_000n, 123_456_789_012n]) {
    t.equal(parseCredits(toCredits(microcredits(amount))), amount)
  }
  t.equal(toCredits(credits(10)), 10)
})
