import type { Memo } from '../ledger-answers.ts'
import type { PriceList } from './price-list.ts'

const MILLION = 1_000_000n

/** The price of a model at this time, in US dollars per million tokens, for the memo of a hold. */
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

/** One pico-dollar per token is one millionth of a dollar per million tokens. */
function usdPerMillion(picoUsd: bigint): string {
  const millionths = String(picoUsd % MILLION).padStart(6, '0')
  const fraction = millionths.replace(/0+$/, '')
  return `${picoUsd / MILLION}${fraction && `.${fraction.padEnd(2, '0')}`}`
}
