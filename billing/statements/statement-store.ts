import type { Db } from '#db'
import { AppError } from '#kernel/errors.ts'
import type { UserId } from '#kernel/ids.ts'
import { microcredits, ZERO, type Microcredits } from '#kernel/money.ts'
import type { Memo } from '../ledger-answers.ts'
import {
  detailOf,
  priceOf,
  titleOf,
  usageOf,
  type LineKind,
  type LinePrice,
  type LineUsage
} from './lines.ts'

/** One movement, as the owner of the wallet reads it. */
export interface StatementLine {
  readonly id: string
  readonly kind: LineKind
  /** What happened, in words. */
  readonly title: string
  /** Of a charge: the tokens and what they cost. */
  readonly detail: string | null
  /** How much moved; never negative. */
  readonly amount: Microcredits
  /** What that did to the balance. A charge is paid from what was reserved, so it changes nothing there. */
  readonly change: Microcredits
  readonly balanceAfter: Microcredits
  /** What was noted when credits were held for the job, and what this movement added. */
  readonly memo: Memo
  readonly jobId: string | null
  /** Of charges and releases: `succeeded`, or why the job failed. */
  readonly outcome: string | null
  /** Of a charge: the tokens. */
  readonly usage: LineUsage | null
  /** The price that the job was promised. */
  readonly price: LinePrice | null
  readonly createdAt: Date
}

export interface StatementPage {
  readonly items: readonly StatementLine[]
  readonly nextCursor: string | null
}

const SIGNS: Record<LineKind, -1n | 0n | 1n> = {
  grant: 1n,
  hold: -1n,
  extend: -1n,
  charge: 0n,
  release: 1n
}

/** A wallet's movements, newest first. The cursor is the place of the last line that was given. */
export async function readStatement(
  db: Db,
  userId: UserId,
  cursor: string | undefined,
  limit: number
): Promise<StatementPage> {
  const rows = await selectLines(db, userId)
    .$if(cursor !== undefined, (query) => query.where('line.seq', '<', parseCursor(cursor ?? '')))
    .limit(limit + 1)
    .execute()

  const page = rows.slice(0, limit)
  return {
    items: page.map(toLine),
    nextCursor: rows.length > limit ? (page.at(-1)?.seq ?? null) : null
  }
}

const selectLines = (db: Db, userId: UserId) =>
  db
    .selectFrom('ledger_transfers as line')
    .leftJoin('ledger_transfers as hold', (join) =>
      join.onRef('hold.hold_id', '=', 'line.hold_id').on('hold.kind', '=', 'hold')
    )
    .leftJoin('ledger_hold_resolutions as end', 'end.hold_id', 'line.hold_id')
    .select(['line.id', 'line.seq', 'line.kind', 'line.amount', 'line.balance_after'])
    .select(['line.memo', 'line.hold_id', 'line.created_at', 'end.reason'])
    .select('hold.memo as hold_memo')
    .where('line.wallet', '=', userId)
    .orderBy('line.seq', 'desc')

type Row = Awaited<ReturnType<ReturnType<typeof selectLines>['execute']>>[number]

function toLine(row: Row): StatementLine {
  const kind = row.kind as LineKind
  const memo = { ...row.hold_memo, ...row.memo } as Memo
  const isEnd = kind === 'charge' || kind === 'release'
  const facts = { kind, memo, outcome: isEnd ? row.reason : null }
  const amount = BigInt(row.amount)
  return {
    ...facts,
    id: row.id,
    title: titleOf(facts),
    detail: detailOf(facts),
    amount: microcredits(amount),
    change: microcredits(amount * SIGNS[kind]),
    balanceAfter: row.balance_after ? microcredits(BigInt(row.balance_after)) : ZERO,
    jobId: row.hold_id,
    usage: kind === 'charge' ? usageOf(memo) : null,
    price: priceOf(memo),
    createdAt: row.created_at
  }
}

function parseCursor(cursor: string): string {
  if (/^\d{1,18}$/.test(cursor)) return cursor
  throw new AppError('invalid_request', 'This cursor is not one that we gave out')
}
