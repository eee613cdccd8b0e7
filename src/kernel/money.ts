import assert from 'node:assert/strict'

declare const brand: unique symbol

/** Whole millionths of a credit, so that sums are exact. Never a float. */
export type Microcredits = bigint & { readonly [brand]: 'microcredits' }

const PER_CREDIT = 1_000_000n
/** An amount in the API: a JSON number with at most six decimals. */
const SIX_DECIMALS = /^(\d+)(?:\.(\d{1,6}))?$/

export const ZERO = 0n as Microcredits

export const microcredits = (whole: bigint): Microcredits => whole as Microcredits

/** One credit is a million microcredits. */
export const credits = (whole: number): Microcredits => microcredits(BigInt(whole) * PER_CREDIT)

/** Parses an amount of the API; undefined when it is negative or has more than six decimals. */
export function parseCredits(amount: number): Microcredits | undefined {
  const [, whole, fraction = ''] = SIX_DECIMALS.exec(String(amount)) ?? []
  if (whole === undefined) return undefined
  return microcredits(BigInt(whole) * PER_CREDIT + BigInt(fraction.padEnd(6, '0')))
}

/**
 * The limit of a wallet: eight billion credits, including reserved and spent ones. Below 2^33 neighbouring doubles are
 * less than a millionth apart, so a JSON number represents every amount exactly.
 */
export const WALLET_MAX = microcredits(8_000_000_000n * PER_CREDIT)

/** The amount as a number of the API. Exact up to `WALLET_MAX`; throws above it. */
export function toCredits(amount: Microcredits): number {
  assert.ok(amount <= WALLET_MAX, 'an amount that JSON can carry exactly')
  return Number(amount) / Number(PER_CREDIT)
}

export const least = (...amounts: [Microcredits, ...Microcredits[]]): Microcredits =>
  amounts.reduce((a, b) => (a < b ? a : b))

export const greatest = (...amounts: [Microcredits, ...Microcredits[]]): Microcredits =>
  amounts.reduce((a, b) => (a > b ? a : b))
