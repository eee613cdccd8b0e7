import type { Db } from '#db'
import { AppError } from '#kernel/errors.ts'
import type { UserId } from '#kernel/ids.ts'
import type { Microcredits } from '#kernel/money.ts'
import {
  insertGrant,
  insertHold,
  insertExtension,
  insertResolution,
  openAccounts,
  readAudit,
  readHold,
  readPlatformLoss,
  readWallet
} from './ledger-store.ts'
import type {
  ExtendResult,
  GrantResult,
  HoldResult,
  Memo,
  Payer,
  Resolution,
  ResolveResult,
  Wallet
} from './ledger-answers.ts'
import { readStatement, type StatementPage } from './statements/statement-store.ts'

/**
 * Credits, moved by double entry in the database. Every method takes a database or the caller's transaction first; the
 * answers `short` and `reused` do not abort that transaction. Within a transaction move the money before touching other
 * rows: all code locks in that order.
 */
export interface Ledger {
  /** Opens an empty wallet. Idempotent. */
  openWallet(db: Db, userId: UserId): Promise<void>
  /**
   * Adds credits from outside. Idempotent by id; the same id with other content is `reused`. `full`: the wallet's credits,
   * including held and spent ones, would exceed `WALLET_MAX`.
   */
  grant(
    db: Db,
    grant: { id: string; userId: UserId; amount: Microcredits; memo: Memo }
  ): Promise<GrantResult>
  /** Reserves credits for a job, or answers how many are missing. */
  hold(
    db: Db,
    hold: { holdId: string; userId: UserId; amount: Microcredits; memo: Memo }
  ): Promise<HoldResult>
  /** Reserves more credits. Idempotent by hold and step. */
  extend(
    db: Db,
    extension: { holdId: string; step: string; amount: Microcredits }
  ): Promise<ExtendResult>
  /**
   * Ends a hold: charges the cost up to the held amount, or nothing, and releases the rest. Happens at most once. With a
   * goodwill budget it charges nothing if that covers the whole charge; the wallet's lock orders concurrent decisions.
   */
  resolve(
    db: Db,
    resolution: {
      holdId: string
      cost: Microcredits
      userPays: Payer
      reason: string
      memo: Memo
    }
  ): Promise<ResolveResult>
  /** The held amount and the resolution, if any; undefined when there is no such hold. */
  findHold(
    db: Db,
    holdId: string
  ): Promise<{ held: Microcredits; resolution: Resolution | null } | undefined>
  wallet(db: Db, userId: UserId): Promise<Wallet>
  /** Every transfer of a wallet, newest first. */
  statement(
    db: Db,
    userId: UserId,
    page: { cursor?: string | undefined; limit: number }
  ): Promise<StatementPage>
  /** The sum of provider costs that no user was charged for. */
  platformLoss(db: Db): Promise<Microcredits>
  /** Named sums that must all be '0'. */
  audit(db: Db): Promise<Record<string, string>>
}

/** Invariants: no user is charged twice, charged above the hold, or negative; every transfer has two named accounts. */
export function createLedger(): Ledger {
  return {
    openWallet: openAccounts,
    grant: (db, { id, userId, amount, memo }) => insertGrant(db, id, userId, amount, memo),

    async hold(db, { holdId, userId, amount, memo }) {
      const answer = await insertHold(db, holdId, userId, amount, memo)
      return answer.kind === 'reused' ? refuseReuse(holdId) : answer
    },

    async extend(db, { holdId, step, amount }) {
      const answer = await insertExtension(db, holdId, step, amount)
      return answer.kind === 'reused' ? refuseReuse(`${holdId}, step ${step}`) : answer
    },

    resolve: insertResolution,

    findHold: readHold,
    wallet: readWallet,
    statement: (db, userId, { cursor, limit }) => readStatement(db, userId, cursor, limit),
    platformLoss: readPlatformLoss,
    audit: readAudit
  }
}

function refuseReuse(what: string): never {
  throw new AppError('idempotency_key_reused', `Credits are already held under this id: ${what}`)
}
