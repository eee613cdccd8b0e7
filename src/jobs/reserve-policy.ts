import { greatest, least, microcredits, type Microcredits } from '#kernel/money.ts'

/** The smallest cost that nine tenths of the others do not exceed. */
export function percentile90(costs: readonly Microcredits[]): Microcredits {
  const sorted = costs.toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0))
  return sorted[Math.ceil(sorted.length * 0.9) - 1] ?? microcredits(0n)
}

export interface ReserveFacts {
  /** `RESERVE_CREDITS`. */
  readonly minimum: Microcredits
  /** What this project's last jobs of that mode and model cost. */
  readonly recentCosts: readonly Microcredits[]
  readonly maxCredits: Microcredits | null
  readonly balance: Microcredits
}

/** What a job reserves: enough for nine jobs of ten, never over its own maximum or the balance. */
export function decideReserve(facts: ReserveFacts): Microcredits {
  const wanted = greatest(facts.minimum, percentile90(facts.recentCosts))
  return least(wanted, facts.balance, facts.maxCredits ?? wanted)
}
