import type { Db, TransferKind } from '#db'
import { AppError } from '#kernel/errors.ts'
import type { UserId } from '#kernel/ids.ts'
import { microcredits, ZERO, type Microcredits } from '#kernel/money.ts'
import type { Memo } from './ledger-store.ts'

type LineKind = Exclude<TransferKind, 'loss'>

/** One movement, as the owner of the wallet reads it. */
export interface StatementLine {
  readonly id: string
  readonly kind: LineKind
  /** What happened, in words. */
  readonly title: string
  /** How much moved; never negative. */
  readonly amount: Microcredits
  /** What that did to the balance. A charge is paid from what was reserved, so it changes nothing there. */
  readonly change: Microcredits
  readonly balanceAfter: Microcredits
  readonly memo: Memo
  readonly jobId: string | null
  readonly createdAt: Date
}

export interface StatementPage {
  readonly items: readonly StatementLine[]
  readonly nextCursor: string | null
}

const LINES: Record<LineKind, { readonly title: string; readonly sign: -1n | 0n | 1n }> = {
  grant: { title: 'Credits added', sign: 1n },
  hold: { title: 'Reserved for a job', sign: -1n },
  extend: { title: 'Reserved more for a job', sign: -1n },
  charge: { title: 'Paid for a job, from what was reserved', sign: 0n },
  release: { title: 'Given back from what was reserved', sign: 1n }
}

/** A wallet's movements, newest first. The cursor is the place of the last line that was given. */
export async function readStatement(
  db: Db,
  userId: UserId,
  cursor: string | undefined,
  limit: number
): Promise<StatementPage> {
  const rows = await db
    .selectFrom('ledger_transfers')
    .select(['id', 'seq', 'kind', 'amount', 'balance_after', 'memo', 'hold_id', 'created_at'])
    .where('wallet', '=', userId)
    .$if(cursor !== undefined, (query) => query.where('seq', '<', parseCursor(cursor ?? '')))
    .orderBy('seq', 'desc')
    .limit(limit + 1)
    .execute()

  const page = rows.slice(0, limit)
  return {
    items: page.map((row) => {
      const { title, sign } = LINES[row.kind as LineKind]
      const amount = BigInt(row.amount)
      return {
        id: row.id,
        kind: row.kind as LineKind,
        title,
        amount: microcredits(amount),
        change: microcredits(amount * sign),
        balanceAfter: row.balance_after ? microcredits(BigInt(row.balance_after)) : ZERO,
        memo: row.memo as Memo,
        jobId: row.hold_id,
        createdAt: row.created_at
      }
    }),
    nextCursor: rows.length > limit ? (page.at(-1)?.seq ?? null) : null
  }
}

function parseCursor(cursor: string): string {
  if (/^\d{1,18}$/.test(cursor)) return cursor
  throw new AppError('invalid_request', 'This cursor is not one that we gave out')
}
