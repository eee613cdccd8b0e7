import { Type } from 'typebox'
import { UsageTotals } from '#kernel/frames.ts'
import { Nullable, OnlyThese, Time } from '#kernel/schema-kit.ts'
import { Credits } from '../../schemas.ts'

const PURCHASE_CREDITS_MAX = 1_000_000_000

export const Wallet = Type.Object(
  { userId: Type.String(), balance: Credits, reserved: Credits, spent: Credits },
  { description: 'Spendable credits, credits reserved by jobs, and credits spent' }
)
export const Purchase = Type.Object(
  { credits: Type.Number({ exclusiveMinimum: 0, maximum: PURCHASE_CREDITS_MAX }) },
  OnlyThese
)
export const Purchased = Type.Object(
  { transactionId: Type.String(), balance: Credits },
  { description: 'The credits are in the wallet' }
)
const UsdPerMillion = Type.String({ description: 'US dollars per million tokens' })
export const Line = Type.Object({
  id: Type.String(),
  kind: Type.Enum(['grant', 'hold', 'extend', 'charge', 'release']),
  title: Type.String({ description: 'a title for people' }),
  detail: Nullable(Type.String({ description: 'of a charge: tokens and prices, for people' })),
  amount: Credits,
  change: Type.Number({ description: 'change of the balance; negative for a reservation' }),
  balanceAfter: Credits,
  jobId: Nullable(Type.String()),
  job: Nullable(
    Type.Object({
      prompt: Nullable(Type.String({ description: 'first line of the prompt' })),
      mode: Nullable(Type.String()),
      model: Nullable(Type.String()),
      outcome: Nullable(Type.String({ description: '`succeeded`, or the error code' }))
    })
  ),
  usage: Nullable(UsageTotals),
  price: Nullable(
    Type.Object({
      priceList: Type.String({ description: 'version of the price list' }),
      inputUsd: UsdPerMillion,
      outputUsd: UsdPerMillion,
      cacheReadUsd: UsdPerMillion,
      cacheWriteUsd: UsdPerMillion,
      tiered: Type.Boolean({
        description: 'long prompts of this model have higher prices than these'
      })
    })
  ),
  createdAt: Time
})
