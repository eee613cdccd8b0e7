import type { Memo } from '../ledger-answers.ts'
import type { PriceList } from './price-list.ts'

const MILLION = 1_000_000n

/** The price of a model in words that stay true when the list changes: US dollars for a million tokens. */
export function priceMemo(prices: Pick<PriceList, 'find' | 'version'>, model: string): Memo {
  const price = prices.find(model)
  if (!price) return {}
  return {
    priceList: prices.version,
    inputUsd: usdPerMillion(price.input),
    outputUsd: usdPerMillion(price.output),
    cacheReadUsd: usdPerMillion(price.cacheRead),
    cacheWriteUsd: usdPerMillion(price.cacheWrite),
    tiered: price.tiers.length > 0
  }
}

/** A pico-dollar a token is a millionth of a dollar for a million of them. */
function usdPerMillion(picoUsd: bigint): string {
  const millionths = String(picoUsd % MILLION).padStart(6, '0')
  const fraction = millionths.replace(/0+$/, '')
  return `${picoUsd / MILLION}${fraction && `.${fraction.padEnd(2, '0')}`}`
}
