import type { Db } from '#db'
import type { Goodwill } from '#kernel/frames.ts'
import type { UserId } from '#kernel/ids.ts'
import { microcredits, ZERO, type Microcredits } from '#kernel/money.ts'
import { checkPosition, pageOf, type PageOf } from '#kernel/pages.ts'
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

/** One line of the statement. */
export interface StatementLine {
  readonly id: string
  readonly kind: LineKind
  /** A title for people. */
  readonly title: string
  /** Of a charge: tokens and prices, for people. */
  readonly detail: string | null
  /** The transferred amount; never negative. */
  readonly amount: Microcredits
  /** The change of the balance. A charge is paid from the reservation, so it does not change the balance. */
  readonly change: Microcredits
  readonly balanceAfter: Microcredits
  /** The memo of the job's hold, merged with that of this transfer. */
  readonly memo: Memo
  readonly jobId: string | null
  /** Of charges and releases: `succeeded`, or the error code of the job. */
  readonly outcome: string | null
  /** Of a failure whose refunds have a budget: the decision. */
  readonly goodwill: Goodwill | null
  /** Of a charge: the tokens. */
  readonly usage: LineUsage | null
  /** The price at the time of the hold. */
  readonly price: LinePrice | null
  readonly createdAt: Date
}

export type StatementPage = PageOf<StatementLine>

const SIGNS: Record<LineKind, -1n | 0n | 1n> = {
  grant: 1n,
  hold: -1n,
  extend: -1n,
  charge: 0n,
  release: 1n
}

/** The transfers of a wallet, newest first. The cursor is the `seq` of the last line of the previous page. */
export async function readStatement(
  db: Db,
  userId: UserId,
  cursor: string | undefined,
  limit: number
): Promise<StatementPage> {
  const before = checkPosition(cursor)
  const rows = await selectLines(db, userId)
    .$if(before !== undefined, (query) => query.where('line.seq', '<', before ?? ''))
    .limit(limit + 1)
    .execute()

  const page = pageOf(rows, limit, (row) => row.seq)
  return { ...page, items: page.items.map(toLine) }
}

const selectLines = (db: Db, userId: UserId) =>
  db
    .selectFrom('ledger_transfers as line')
    .leftJoin('ledger_transfers as hold', (join) =>
      join.onRef('hold.hold_id', '=', 'line.hold_id').on('hold.kind', '=', 'hold')
    )
    .leftJoin('ledger_hold_resolutions as end', 'end.hold_id', 'line.hold_id')
    .leftJoin('ledger_goodwill as goodwill', 'goodwill.hold_id', 'line.hold_id')
    .select(['line.id', 'line.seq', 'line.kind', 'line.amount', 'line.balance_after'])
    .select(['line.memo', 'line.hold_id', 'line.created_at', 'end.reason'])
    .select('goodwill.decision')
    .select('hold.memo as hold_memo')
    .where('line.wallet', '=', userId)
    .orderBy('line.seq', 'desc')

type Row = Awaited<ReturnType<ReturnType<typeof selectLines>['execute']>>[number]

function toLine(row: Row): StatementLine {
  const kind = row.kind as LineKind
  const memo = { ...row.hold_memo, ...row.memo } as Memo
  const isEnd = kind === 'charge' || kind === 'release'
  const facts = { kind, memo, outcome: isEnd ? row.reason : null, goodwill: row.decision }
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
