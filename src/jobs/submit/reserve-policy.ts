import { greatest, least, type Microcredits, ZERO } from '#kernel/money.ts'

/** The smallest cost that so many tenths of them do not exceed; nothing when there are none. */
export function percentile(costs: readonly Microcredits[], tenths: number): Microcredits {
  const sorted = costs.toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0))
  return sorted[Math.ceil((sorted.length * tenths) / 10) - 1] ?? ZERO
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
  const wanted = greatest(facts.minimum, percentile(facts.recentCosts, 9))
  return least(wanted, facts.balance, facts.maxCredits ?? wanted)
}

/** What eight jobs of ten cost, leaving out the cheapest and the dearest; null when there were none. */
export function likelyCost(
  recentCosts: readonly Microcredits[]
): { readonly low: Microcredits; readonly high: Microcredits } | null {
  if (recentCosts.length === 0) return null
  return { low: percentile(recentCosts, 1), high: percentile(recentCosts, 9) }
}
