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
  Resolution,
  ResolveResult,
  Wallet
} from './ledger-answers.ts'
import { readStatement, type StatementPage } from './statements/statement-store.ts'

/**
 * Credits, moved by double entry in the database. Every method takes a database or the caller's transaction first;
 * an answer of `short` or `reused` leaves that transaction as usable as it was. Within one transaction move the
 * money first and touch other rows after it: everybody locks in that order.
 */
export interface Ledger {
  /** Opens a wallet of nothing. Opening it twice is opening it once. */
  openWallet(db: Db, userId: UserId): Promise<void>
  /**
   * Credits from outside. The id makes it happen once; under the same id with other content it is `reused`. A wallet
   * whose credits, with those held and spent, would be more than `WALLET_MAX` is `full`.
   */
  grant(
    db: Db,
    grant: { id: string; userId: UserId; amount: Microcredits; memo: Memo }
  ): Promise<GrantResult>
  /** Sets credits aside for a job, or says how many are missing. */
  hold(
    db: Db,
    hold: { holdId: string; userId: UserId; amount: Microcredits; memo: Memo }
  ): Promise<HoldResult>
  /** Sets more aside; the same step of the same hold happens once. */
  extend(
    db: Db,
    extension: { holdId: string; step: string; amount: Microcredits }
  ): Promise<ExtendResult>
  /** Ends a hold: charges the cost up to what is held, or nothing, and gives back the rest. Once, ever. */
  resolve(
    db: Db,
    resolution: {
      holdId: string
      cost: Microcredits
      userPays: 'used' | 'nothing'
      reason: string
      memo: Memo
    }
  ): Promise<ResolveResult>
  /** What a hold has set aside and how it ended, if it did; undefined when there is no such hold. */
  findHold(
    db: Db,
    holdId: string
  ): Promise<{ held: Microcredits; resolution: Resolution | null } | undefined>
  wallet(db: Db, userId: UserId): Promise<Wallet>
  /** Every movement of a wallet, newest first. */
  statement(
    db: Db,
    userId: UserId,
    page: { cursor?: string | undefined; limit: number }
  ): Promise<StatementPage>
  /** What providers were paid and nobody was charged for, so far. */
  platformLoss(db: Db): Promise<Microcredits>
  /** Named sums that are all '0', always. */
  audit(db: Db): Promise<Record<string, string>>
}

/** No user pays twice, pays more than was held, or owes; every microcredit comes from and goes to a named account. */
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

    resolve: (db, { holdId, cost, userPays, reason, memo }) =>
      insertResolution(db, { holdId, cost, userPays: userPays === 'used', reason, memo }),

    findHold: readHold,
    wallet: readWallet,
    statement: (db, userId, { cursor, limit }) => readStatement(db, userId, cursor, limit),
    platformLoss: readPlatformLoss,
    audit: readAudit
  }
}

function refuseReuse(what: string): never {
  throw new AppError('idempotency_key_reused', `Credits were held under this id before: ${what}`)
}
