import { sql } from 'kysely'
import type { Db } from '#db'
import type { Goodwill } from '#kernel/frames.ts'
import type { UserId } from '#kernel/ids.ts'
import { microcredits, ZERO, type Microcredits } from '#kernel/money.ts'
import type {
  GrantResult,
  Memo,
  Payer,
  Resolution,
  ResolveResult,
  Wallet
} from './ledger-answers.ts'

/** One union member per kind, so that callers can narrow it. */
type Answer<Kind extends string> =
  | (Kind extends string ? { readonly kind: Kind } : never)
  | { readonly kind: 'short'; readonly missing: Microcredits }

const money = (text: string) => microcredits(BigInt(text))

export async function openAccounts(db: Db, userId: UserId): Promise<void> {
  await sql`SELECT ledger_open(${userId})`.execute(db)
}

export async function insertGrant(
  db: Db,
  id: string,
  userId: UserId,
  amount: Microcredits,
  memo: Memo
): Promise<GrantResult> {
  const { rows } = await sql<{ answer: GrantResult['kind']; balance: string }>`
    SELECT * FROM ledger_grant(${id}, ${userId}, ${String(amount)}, ${JSON.stringify(memo)})
  `.execute(db)
  const { answer, balance } = only(rows)
  return answer === 'reused' || answer === 'full'
    ? { kind: answer }
    : { kind: answer, balance: money(balance) }
}

export async function insertHold(
  db: Db,
  holdId: string,
  userId: UserId,
  amount: Microcredits,
  memo: Memo
): Promise<Answer<'held' | 'replayed' | 'reused'>> {
  const { rows } = await sql<AnswerRow<'held' | 'replayed' | 'reused'>>`
    SELECT * FROM ledger_hold(${holdId}, ${userId}, ${String(amount)}, ${JSON.stringify(memo)})
  `.execute(db)
  return toAnswer(only(rows))
}

export async function insertExtension(
  db: Db,
  holdId: string,
  step: string,
  amount: Microcredits
): Promise<Answer<'held' | 'resolved' | 'reused'>> {
  const { rows } = await sql<AnswerRow<'held' | 'resolved' | 'reused'>>`
    SELECT * FROM ledger_extend(${holdId}, ${step}, ${String(amount)})`.execute(db)
  return toAnswer(only(rows))
}

export async function insertResolution(
  db: Db,
  of: { holdId: string; cost: Microcredits; userPays: Payer; reason: string; memo: Memo }
): Promise<ResolveResult> {
  const { holdId, userPays, reason } = of
  const [cost, memo] = [String(of.cost), JSON.stringify(of.memo)]
  const resolve =
    typeof userPays === 'string'
      ? sql<ResolvedRow>`
          SELECT answer, (resolution).*, NULL AS goodwill
            FROM ledger_resolve(${holdId}, ${cost}, ${userPays === 'used'}, ${reason}, ${memo})`
      : sql<ResolvedRow>`
          SELECT answer, (resolution).*, goodwill FROM ledger_resolve_goodwill(
            ${holdId}, ${cost}, ${reason}, ${memo},
            ${String(userPays.goodwill.creditsPerDay)}, ${userPays.goodwill.jobsPerHour})`
  const row = only((await resolve.execute(db)).rows)
  return { kind: row.answer, ...toResolution(row), goodwill: row.goodwill }
}

export async function readHold(
  db: Db,
  holdId: string
): Promise<{ held: Microcredits; resolution: Resolution | null } | undefined> {
  const sum = await db
    .selectFrom('ledger_transfers')
    .select((eb) => eb.fn.sum<string | null>('amount').as('held'))
    .where('hold_id', '=', holdId)
    .where('kind', 'in', ['hold', 'extend'])
    .executeTakeFirstOrThrow()
  if (sum.held === null) return undefined

  const row = await db
    .selectFrom('ledger_hold_resolutions')
    .selectAll()
    .where('hold_id', '=', holdId)
    .executeTakeFirst()
  return { held: money(sum.held), resolution: row ? toResolution(row) : null }
}

export async function readWallet(db: Db, userId: UserId): Promise<Wallet> {
  const rows = await db
    .selectFrom('ledger_accounts')
    .select(['code', 'balance'])
    .where('wallet', '=', userId)
    .execute()
  const balanceOf = (part: string) => {
    const row = rows.find(({ code }) => code === `${userId}:${part}`)
    return row ? money(row.balance) : ZERO
  }
  return { balance: balanceOf('available'), reserved: balanceOf('held'), spent: balanceOf('spent') }
}

export async function readPlatformLoss(db: Db): Promise<Microcredits> {
  const { balance } = await db
    .selectFrom('ledger_accounts')
    .select('balance')
    .where('code', '=', 'world:platform_loss')
    .executeTakeFirstOrThrow()
  return microcredits(-BigInt(balance))
}

export async function readAudit(db: Db): Promise<Record<string, string>> {
  const books = db
    .selectFrom(['ledger_audit', 'ledger_goodwill_audit', 'model_request_audit'])
    .selectAll()
  return { ...(await books.executeTakeFirstOrThrow()) }
}

interface AnswerRow<Kind> {
  readonly answer: Kind | 'short'
  readonly missing: string | null
}

function toAnswer<Kind extends string>({ answer, missing }: AnswerRow<Kind>): Answer<Kind> {
  return answer === 'short'
    ? { kind: 'short', missing: money(missing ?? '0') }
    : ({ kind: answer } as Answer<Kind>)
}

interface ResolutionRow {
  readonly amount: string
  readonly charged: string
  readonly released: string
  readonly overrun: string
  readonly lost: string
  readonly reason: string
}

interface ResolvedRow extends ResolutionRow {
  readonly answer: 'resolved' | 'already'
  readonly goodwill: Goodwill | null
}

const toResolution = (row: ResolutionRow): Resolution => ({
  held: money(row.amount),
  charged: money(row.charged),
  released: money(row.released),
  overrun: money(row.overrun),
  lost: money(row.lost),
  reason: row.reason
})

function only<Row>(rows: readonly Row[]): Row {
  const [row] = rows
  if (row === undefined) throw new Error('the ledger function returned no row')
  return row
}
