import type { Microcredits } from '#kernel/money.ts'

/** What a movement was for: facts that help a person who reads the statement. */
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
  /** How far the cost went above the hold: no request should ever get there, so it rings an alarm. */
  readonly overrun: Microcredits
  /** What the platform bears of the cost. */
  readonly lost: Microcredits
  readonly reason: string
}

/** `already` carries what the one who came first decided. */
export type ResolveResult = { readonly kind: 'resolved' | 'already' } & Resolution

export interface Wallet {
  /** What can be spent or held now. */
  readonly balance: Microcredits
  readonly reserved: Microcredits
  readonly spent: Microcredits
}
