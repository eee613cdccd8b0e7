import { Type } from 'typebox'
import { UsageTotals } from '#kernel/frames.ts'
import { Nullable, OnlyThese, Time } from '#kernel/schema-kit.ts'
import { Credits } from '../../schemas.ts'

const PURCHASE_CREDITS_MAX = 1_000_000_000

export const Wallet = Type.Object(
  { userId: Type.String(), balance: Credits, reserved: Credits, spent: Credits },
  { description: 'What can be spent, what jobs have set aside, and what they cost so far' }
)
export const Purchase = Type.Object(
  { credits: Type.Number({ exclusiveMinimum: 0, maximum: PURCHASE_CREDITS_MAX }) },
  OnlyThese
)
export const Purchased = Type.Object(
  { transactionId: Type.String(), balance: Credits },
  { description: 'The credits are there' }
)
const UsdPerMillion = Type.String({ description: 'US dollars for a million tokens' })
export const Line = Type.Object({
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
