import assert from 'node:assert/strict'
import type { Usage } from '#kernel/agent-events.ts'
import { microcredits, type Microcredits } from '#kernel/money.ts'

/** Pico-dollars per token. Reasoning tokens cost as much as output. */
export interface Rates {
  readonly input: bigint
  readonly output: bigint
  readonly cacheRead: bigint
  readonly cacheWrite: bigint
}

/** The price of a model. The rates of a tier apply to all tokens of a request with a prompt above `aboveTokens`. */
export interface Price extends Rates {
  readonly model: string
  readonly tiers: readonly (Rates & { readonly aboveTokens: number })[]
  readonly contextTokens?: number
  readonly outputTokens?: number
  /** The value of one credit in pico-dollars. */
  readonly creditPicoUsd: bigint
}

const MICROCREDITS_PER_CREDIT = 1_000_000n
const PICO_PER_USD = 1e12

/** The exact cost of one model request, rounded up once to a whole microcredit. */
export function priceOf(usage: Usage, price: Price): Microcredits {
  return toMicrocredits(picoUsdOf(usage, price), price)
}

/** The maximum cost of a request with at most this many prompt and answer tokens, with any use of the cache. */
export function ceilingOf(promptTokens: number, outputTokens: number, price: Price): Microcredits {
  const reachable = [price, ...price.tiers.filter((tier) => promptTokens > tier.aboveTokens)]
  const costs = reachable.map((rates) => {
    const highest = max(rates.input, rates.cacheRead, rates.cacheWrite)
    return tokens(promptTokens) * highest + tokens(outputTokens) * rates.output
  })
  return toMicrocredits(max(...costs), price)
}

/** The same in US dollars, for display only. */
export const costUsd = (usage: Usage, price: Price): number => picoUsdToUsd(picoUsdOf(usage, price))

export const picoUsdToUsd = (picoUsd: bigint): number => Number(picoUsd) / PICO_PER_USD

export function picoUsdOf(usage: Usage, price: Price): bigint {
  const rates = ratesFor(usage, price)
  return (
    tokens(usage.input) * rates.input +
    tokens(usage.output) * rates.output +
    tokens(usage.reasoning) * rates.output +
    tokens(usage.cacheRead) * rates.cacheRead +
    tokens(usage.cacheWrite) * rates.cacheWrite
  )
}

/** The rates of the last tier that the prompt exceeds; cached tokens are part of the prompt. */
function ratesFor(usage: Usage, price: Price): Rates {
  const promptTokens = usage.input + usage.cacheRead + usage.cacheWrite
  return price.tiers.findLast((tier) => promptTokens > tier.aboveTokens) ?? price
}

function toMicrocredits(picoUsd: bigint, { creditPicoUsd }: Price): Microcredits {
  return microcredits((picoUsd * MICROCREDITS_PER_CREDIT + creditPicoUsd - 1n) / creditPicoUsd)
}

function tokens(count: number): bigint {
  assert.ok(Number.isSafeInteger(count) && count >= 0, 'a whole number of tokens')
  return BigInt(count)
}

const max = (...amounts: bigint[]) => amounts.reduce((a, b) => (a > b ? a : b), 0n)
