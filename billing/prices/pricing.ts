import assert from 'node:assert/strict'
import type { Usage } from '#kernel/agent-events.ts'
import { microcredits, type Microcredits } from '#kernel/money.ts'

/** Whole pico-dollars for one token of each sort. Reasoning is output. */
export interface Rates {
  readonly input: bigint
  readonly output: bigint
  readonly cacheRead: bigint
  readonly cacheWrite: bigint
}

/** What one model costs. A tier's rates hold for the whole of a request whose prompt is longer than `aboveTokens`. */
export interface Price extends Rates {
  readonly model: string
  readonly tiers: readonly (Rates & { readonly aboveTokens: number })[]
  readonly contextTokens?: number
  readonly outputTokens?: number
  /** What a credit is worth, in pico-dollars. */
  readonly creditPicoUsd: bigint
}

const MICROCREDITS_PER_CREDIT = 1_000_000n
const PICO_PER_USD = 1e12

/** What one model request costs, exactly, rounded up to a whole microcredit once. */
export function priceOf(usage: Usage, price: Price): Microcredits {
  return toMicrocredits(picoUsdOf(usage, price), price)
}

/** The most that a request can cost whose prompt and answer have at most so many tokens, whatever the cache does. */
export function ceilingOf(promptTokens: number, outputTokens: number, price: Price): Microcredits {
  const reachable = [price, ...price.tiers.filter((tier) => promptTokens > tier.aboveTokens)]
  const costs = reachable.map((rates) => {
    const dearest = max(rates.input, rates.cacheRead, rates.cacheWrite)
    return tokens(promptTokens) * dearest + tokens(outputTokens) * rates.output
  })
  return toMicrocredits(max(...costs), price)
}

/** The same in US dollars, for people to look at; nothing is charged by it. */
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

/** The last tier that the prompt went above: what was read from the cache is part of the prompt. */
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
