import { greatest, least, type Microcredits, ZERO } from '#kernel/money.ts'

/** The smallest cost that this many tenths of `costs` do not exceed; zero without any. */
export function percentile(costs: readonly Microcredits[], tenths: number): Microcredits {
  const sorted = costs.toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0))
  return sorted[Math.ceil((sorted.length * tenths) / 10) - 1] ?? ZERO
}

export interface ReserveFacts {
  /** `RESERVE_CREDITS`. */
  readonly minimum: Microcredits
  /** The costs of this project's last jobs of that mode and model. */
  readonly recentCosts: readonly Microcredits[]
  readonly maxCredits: Microcredits | null
  readonly balance: Microcredits
}

/** How much a job reserves: the 90th percentile of recent costs, at most its own maximum and the balance. */
export function decideReserve(facts: ReserveFacts): Microcredits {
  const wanted = greatest(facts.minimum, percentile(facts.recentCosts, 9))
  return least(wanted, facts.balance, facts.maxCredits ?? wanted)
}

/** The 10th and the 90th percentile of recent costs; null without any. */
export function likelyCost(
  recentCosts: readonly Microcredits[]
): { readonly low: Microcredits; readonly high: Microcredits } | null {
  if (recentCosts.length === 0) return null
  return { low: percentile(recentCosts, 1), high: percentile(recentCosts, 9) }
}
