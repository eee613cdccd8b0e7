import fc from 'fast-check'
import t from 'tap'
import { credits, microcredits, parseCredits, toCredits, WALLET_MAX } from '#kernel/money.ts'
import { check } from '../../helpers/property.ts'

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

const Amount = fc.oneof(
  fc.bigInt({ min: 0n, max: WALLET_MAX }),
  fc.bigInt({ min: WALLET_MAX - 10_000_000n, max: WALLET_MAX })
)

t.test('every amount that a wallet may have survives JSON to the millionth', async (t) => {
  const survives = fc.property(Amount, (amount) => {
    const credits = JSON.parse(JSON.stringify(toCredits(microcredits(amount)))) as number
    return parseCredits(credits) === amount
  })
  t.doesNotThrow(() => check(survives, { usual: 20_000, deep: 200_000 }))
  t.equal(toCredits(credits(10)), 10)
  t.throws(() => toCredits(microcredits(WALLET_MAX + 1n)))
})
