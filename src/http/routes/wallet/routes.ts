import { Type, type TSchema } from 'typebox'
import type { StatementLine } from '#billing'
import { AppError } from '#kernel/errors.ts'
import { UsageTotals } from '#kernel/frames.ts'
import { parseCredits, toCredits, WALLET_MAX, ZERO } from '#kernel/money.ts'
import type { App, AppDeps } from '../../app-deps.ts'
import { userOf } from '../../plugins/auth.ts'
import { purchaseId } from './purchase-id.ts'
import {
  Credits,
  IdempotentAlways,
  Listed,
  OnlyThese,
  PageQuery,
  Time,
  pageOf,
  refusals
} from '../../schemas.ts'

const PURCHASE_CREDITS_MAX = 1_000_000_000

const Wallet = Type.Object(
  { userId: Type.String(), balance: Credits, reserved: Credits, spent: Credits },
  { description: 'What can be spent, what jobs have set aside, and what they cost so far' }
)
const Purchase = Type.Object(
  { credits: Type.Number({ exclusiveMinimum: 0, maximum: PURCHASE_CREDITS_MAX }) },
  OnlyThese
)
const Purchased = Type.Object(
  { transactionId: Type.String(), balance: Credits },
  { description: 'The credits are there' }
)
const Nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()])
const UsdPerMillion = Type.String({ description: 'US dollars for a million tokens' })
const Line = Type.Object({
  id: Type.String(),
  kind: Type.Enum(['grant', 'hold', 'extend', 'charge', 'release']),
  title: Type.String({ description: 'what happened, in words' }),
  detail: Nullable(
    Type.String({ description: 'of a charge: the tokens and their price, in words' })
  ),
  amount: Credits,
  change: Type.Number({ description: 'what it did to the balance; negative when credits left it' }),
  balanceAfter: Credits,
  jobId: Nullable(Type.String()),
  job: Nullable(
    Type.Object({
      prompt: Nullable(Type.String({ description: 'its first line' })),
      mode: Nullable(Type.String()),
      model: Nullable(Type.String()),
      outcome: Nullable(Type.String({ description: '`succeeded`, or why it failed' }))
    })
  ),
  usage: Nullable(UsageTotals),
  price: Nullable(
    Type.Object({
      priceList: Type.String({ description: 'the version of the price list' }),
      inputUsd: UsdPerMillion,
      outputUsd: UsdPerMillion,
      cacheReadUsd: UsdPerMillion,
      cacheWriteUsd: UsdPerMillion,
      tiered: Type.Boolean({ description: 'long prompts of this model are dearer than this' })
    })
  ),
  createdAt: Time
})

/** A user's credits: what there is, how more comes, and where they went. */
export function walletRoutes(app: App, { db, ledger }: AppDeps): void {
  app.get(
    '/wallet',
    {
      schema: {
        tags: ['wallet'],
        summary: 'Your credits',
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
      const amount = parseCredits(request.body.credits)
      if (amount === undefined || amount === ZERO) {
        throw new AppError('invalid_request', 'credits must be positive, with at most six decimals')
      }
      const id = purchaseId(userId, request.headers['idempotency-key'])
      const granted = await ledger.grant(db, { id, userId, amount, memo: { reason: 'purchase' } })
      if (granted.kind === 'reused') {
        throw new AppError('idempotency_key_reused', 'This key was used for another purchase')
      }
      if (granted.kind === 'full') {
        const most = toCredits(WALLET_MAX)
        throw new AppError(
          'invalid_request',
          `A wallet takes ${most} credits at most, spent ones included`
        )
      }
      return reply.code(201).send({ transactionId: id, balance: toCredits(granted.balance) })
    }
  )

  app.get(
    '/wallet/transactions',
    {
      schema: {
        tags: ['wallet'],
        summary: 'Every movement of your credits, newest first',
        querystring: PageQuery,
        response: { 200: Listed(Line, 'A page of the statement'), ...refusals }
      }
    },
    async (request) => {
      const page = await ledger.statement(db, userOf(request), pageOf(request.query))
      return { items: page.items.map(toLine), nextCursor: page.nextCursor }
    }
  )
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
