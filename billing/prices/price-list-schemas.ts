import { Type, type Static } from 'typebox'
import { OnlyThese } from '#kernel/schema-kit.ts'

/** US dollars per million tokens, as text with up to six decimals: a whole number of pico-dollars per token. */
const UsdPerMillion = Type.String({ pattern: '^\\d{1,6}(\\.\\d{1,6})?$' })
const Tokens = Type.Integer({ minimum: 1, maximum: 1_000_000_000 })

const rates = {
  input: UsdPerMillion,
  output: UsdPerMillion,
  cacheRead: UsdPerMillion,
  cacheWrite: UsdPerMillion
}

const ModelPrice = Type.Object(
  {
    ...rates,
    contextTokens: Type.Optional(Tokens),
    outputTokens: Type.Optional(Tokens),
    tiers: Type.Optional(
      Type.Array(Type.Object({ aboveTokens: Tokens, ...rates }, OnlyThese), { minItems: 1 })
    ),
    source: Type.Optional(Type.String({ description: 'where the price was read' })),
    asOf: Type.Optional(Type.String({ pattern: '^\\d{4}-\\d{2}-\\d{2}$' }))
  },
  OnlyThese
)
export type ModelPrice = Static<typeof ModelPrice>

/** The file of a price list. */
export const PriceListFile = Type.Object(
  {
    version: Type.String({ minLength: 1 }),
    creditUsd: Type.String({ pattern: '^(?=.*[1-9])\\d{1,6}(\\.\\d{1,12})?$' }),
    models: Type.Record(Type.String({ pattern: '^[^/\\s]+/\\S+$' }), ModelPrice, {
      ...OnlyThese,
      minProperties: 1
    })
  },
  OnlyThese
)
export type PriceListFile = Static<typeof PriceListFile>
