import type { Goodwill } from '#kernel/frames.ts'
import type { Microcredits } from '#kernel/money.ts'

/** Facts about a transfer, for the statement. */
export type Memo = Readonly<Record<string, string | number | boolean | null>>

export type GrantResult =
  | { readonly kind: 'granted' | 'replayed'; readonly balance: Microcredits }
  | { readonly kind: 'reused' }
  | { readonly kind: 'full' }

export type HoldResult =
  | { readonly kind: 'held' }
  | { readonly kind: 'replayed' }
  | { readonly kind: 'short'; readonly missing: Microcredits }

export type ExtendResult =
  | { readonly kind: 'held' }
  | { readonly kind: 'short'; readonly missing: Microcredits }
  | { readonly kind: 'resolved' }

/** `charged + released = held`, and `charged + lost` is what it cost. */
export interface Resolution {
  readonly held: Microcredits
  readonly charged: Microcredits
  readonly released: Microcredits
  /** The amount by which the cost exceeded the hold. Must be zero; anything else is an alarm. */
  readonly overrun: Microcredits
  /** The part of the cost that the platform bears. */
  readonly lost: Microcredits
  readonly reason: string
}

/** The budget of a wallet for refunds of failures that an agent can cause: over 24 hours, and over one hour. */
export interface GoodwillBudget {
  readonly creditsPerDay: Microcredits
  readonly jobsPerHour: number
}

/** Who pays: the user for the usage, the platform, or the platform as long as the budget lasts. */
export type Payer = 'used' | 'nothing' | { readonly goodwill: GoodwillBudget }

/**
 * `already`: the hold was resolved before, with the returned resolution. `goodwill` is null without a budget, and when
 * nothing was used.
 */
export type ResolveResult = { readonly kind: 'resolved' | 'already' } & Resolution & {
    readonly goodwill: Goodwill | null
  }

export interface Wallet {
  /** Credits that can be spent or held. */
  readonly balance: Microcredits
  readonly reserved: Microcredits
  readonly spent: Microcredits
}
