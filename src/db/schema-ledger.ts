import type { ColumnType, Generated } from 'kysely'
import type { Goodwill } from '#kernel/frames.ts'
import type { UserId } from '#kernel/ids.ts'
import type { Big } from './columns.ts'

type Json<T> = ColumnType<T, string, string>

export interface LedgerAccountsTable {
  id: Generated<string>
  /** `usr_…:available`, `usr_…:held`, `usr_…:spent`, `world:funding`, `world:platform_loss`, `world:providers`. */
  code: string
  wallet: UserId | null
  /** Changed only by inserting a transfer. */
  balance: Generated<string>
  /** Null for the `world:` accounts, which may be negative. */
  floor: Big | null
}

/** `loss`: provider costs that no user was charged for. */
export type TransferKind = 'grant' | 'hold' | 'extend' | 'charge' | 'release' | 'loss'

export interface LedgerTransfersTable {
  /** The idempotency key of the transfer. */
  id: string
  seq: Generated<string>
  from_id: string
  to_id: string
  amount: Big
  kind: TransferKind
  hold_id: string | null
  /** The wallet whose statement contains it, and the balance after it; set by a trigger. */
  wallet: Generated<UserId | null>
  balance_after: Generated<string | null>
  /** Facts for the statement. */
  memo: Json<object>
  created_at: Generated<Date>
}

/** Reserves the sum of its `hold` and `extend` transfers until it is resolved. */
export interface LedgerHoldsTable {
  /** The id of its job. */
  id: string
  wallet: UserId
  created_at: Generated<Date>
}

/** `charged + released = amount` and `charged + lost = cost`, by constraint. */
export interface LedgerHoldResolutionsTable {
  hold_id: string
  amount: Big
  cost: Big
  charged: Big
  released: Big
  /** The part of the cost that the platform bears. */
  lost: Big
  /** The amount by which the cost exceeded the hold. */
  overrun: Generated<string>
  reason: string
  created_at: Generated<Date>
}

/** One decision about a refund that has a budget: the amount that the user would pay without it. */
export interface LedgerGoodwillTable {
  hold_id: string
  wallet: UserId
  amount: Big
  decision: Goodwill
  created_at: Generated<Date>
}

export interface LedgerGoodwillAuditView {
  goodwill_mismatch: string
}

/** Every column must be zero. */
export interface LedgerAuditView {
  total: string
  drifted_accounts: string
  overspent: string
  empty_holds: string
  bad_resolutions: string
  held_mismatch: string
  spent_mismatch: string
  loss_mismatch: string
  statement_mismatch: string
}
