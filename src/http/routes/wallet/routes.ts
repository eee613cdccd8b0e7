import type { StatementLine } from '#billing'
import { AppError } from '#kernel/errors.ts'
import type { UserId } from '#kernel/ids.ts'
import { parseCredits, toCredits, WALLET_MAX, ZERO } from '#kernel/money.ts'
import type { App, AppDeps } from '../../app-deps.ts'
import { userOf } from '../../plugins/auth.ts'
import { purchaseId } from './purchase-id.ts'
import { IdempotentAlways, Listed, PageQuery, readPage, refusals } from '../../schemas.ts'
import { Line, Purchase, Purchased, Wallet } from './schemas.ts'

/** A user's credits: balance, purchases, statement. */
export function walletRoutes(app: App, deps: AppDeps): void {
  const { db, ledger } = deps

  app.get(
    '/wallet',
    {
      schema: {
        tags: ['wallet'],
        summary: 'Read your wallet',
        response: { 200: Wallet, ...refusals }
      }
    },
    async (request) => {
      const userId = userOf(request)
      const { balance, reserved, spent } = await ledger.wallet(db, userId)
      return {
        userId,
        balance: toCredits(balance),
        reserved: toCredits(reserved),
        spent: toCredits(spent)
      }
    }
  )

  app.post(
    '/wallet/purchase',
    {
      config: { idempotent: 'plain' },
      schema: {
        tags: ['wallet'],
        summary: 'Buy credits',
        headers: IdempotentAlways,
        body: Purchase,
        response: { 201: Purchased, ...refusals }
      }
    },
    async (request, reply) => {
      const userId = userOf(request)
      const { credits } = request.body
      const bought = await buy(deps, userId, request.headers['idempotency-key'], credits)
      return reply.code(201).send(bought)
    }
  )

  app.get(
    '/wallet/transactions',
    {
      schema: {
        tags: ['wallet'],
        summary: 'List the transactions of your wallet, newest first',
        querystring: PageQuery,
        response: { 200: Listed(Line, 'A page of the statement'), ...refusals }
      }
    },
    async (request) => {
      const page = await ledger.statement(db, userOf(request), readPage(request.query))
      return { items: page.items.map(toLine), nextCursor: page.nextCursor }
    }
  )
}

/** Grants the credits, once per user and key. */
async function buy(
  { db, ledger }: Pick<AppDeps, 'db' | 'ledger'>,
  userId: UserId,
  key: string,
  credits: number
) {
  const amount = parseCredits(credits)
  if (amount === undefined || amount === ZERO) {
    throw new AppError('invalid_request', 'credits must be positive, with at most six decimals')
  }
  const id = purchaseId(userId, key)
  const granted = await ledger.grant(db, { id, userId, amount, memo: { reason: 'purchase' } })
  if (granted.kind === 'reused') {
    throw new AppError(
      'idempotency_key_reused',
      'This Idempotency-Key was used for a different purchase: use a new key'
    )
  }
  if (granted.kind === 'full') {
    const most = toCredits(WALLET_MAX)
    throw new AppError(
      'invalid_request',
      `A wallet is limited to ${most} credits, including reserved and spent ones`
    )
  }
  return { transactionId: id, balance: toCredits(granted.balance) }
}

const toLine = (line: StatementLine) => ({
  id: line.id,
  kind: line.kind,
  title: line.title,
  detail: line.detail,
  amount: toCredits(line.amount),
  change: toCredits(line.change),
  balanceAfter: toCredits(line.balanceAfter),
  jobId: line.jobId,
  job: line.jobId === null ? null : jobOf(line),
  usage: line.usage,
  price: line.price,
  createdAt: line.createdAt.toISOString()
})

const jobOf = ({ memo, outcome }: StatementLine) => ({
  prompt: textOf(memo['prompt']),
  mode: textOf(memo['mode']),
  model: textOf(memo['model']),
  outcome
})
const textOf = (value: unknown) => (typeof value === 'string' ? value : null)
