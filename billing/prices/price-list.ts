import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { Check, Errors } from 'typebox/value'
import { PriceListFile, type ModelPrice } from './price-list-schemas.ts'
import type { Price } from './pricing.ts'

/** The prices of all usable models. A model without a price cannot be used. */
export interface PriceList {
  readonly version: string
  /** The value of one credit in US dollars, as given in the list. */
  readonly creditUsd: string
  /** The price of `provider/model`. */
  find(model: string): Price | undefined
  models(): string[]
}

const SHIPPED = fileURLToPath(new URL('./price-list.json', import.meta.url))
const USD_PER_MILLION_DECIMALS = 6
const PICO_DECIMALS = 12

/** Reads and validates a price list; an error names the file and the key in one line. */
export async function readPriceList(path: string = SHIPPED): Promise<PriceList> {
  const list = checked(path, parsed(path, await readText(path)))
  const creditPicoUsd = decimal(list.creditUsd, PICO_DECIMALS)
  const prices = new Map(
    Object.entries(list.models).map(([model, price]) => [
      model,
      toPrice(model, price, creditPicoUsd)
    ])
  )

  return {
    version: list.version,
    creditUsd: list.creditUsd,
    find: (model) => prices.get(model),
    models: () => [...prices.keys()]
  }
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (err) {
    throw new Error(`price list ${path} cannot be read (${(err as NodeJS.ErrnoException).code})`, {
      cause: err
    })
  }
}

function parsed(path: string, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (err) {
    throw new Error(`price list ${path} is not JSON: ${oneLine((err as Error).message)}`, {
      cause: err
    })
  }
}

function checked(path: string, list: unknown): PriceListFile {
  if (!Check(PriceListFile, list)) {
    throw new Error(`price list ${path}: ${whatIsWrong(list)}`)
  }
  for (const [model, { tiers = [] }] of Object.entries(list.models)) {
    const rising = tiers.every(
      ({ aboveTokens }, i) => aboveTokens > (tiers[i - 1]?.aboveTokens ?? 0)
    )
    if (!rising) {
      throw new Error(`price list ${path}: models › ${model} › tiers must rise in aboveTokens`)
    }
  }
  return list
}

function whatIsWrong(list: unknown): string {
  const [error] = Errors(PriceListFile, list)
  if (!error) return 'is not a price list'

  const key = error.instancePath
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .join(' › ')
  const problem = error.keyword === 'boolean' ? 'is not a known key' : error.message
  return oneLine(`${key || 'the list'} ${problem}`)
}

function toPrice(model: string, price: ModelPrice, creditPicoUsd: bigint): Price {
  const { contextTokens, outputTokens, tiers = [] } = price
  return {
    model,
    creditPicoUsd,
    ...toRates(price),
    tiers: tiers.map((tier) => ({ aboveTokens: tier.aboveTokens, ...toRates(tier) })),
    ...(contextTokens !== undefined && { contextTokens }),
    ...(outputTokens !== undefined && { outputTokens })
  }
}

type RatesText = Pick<ModelPrice, 'input' | 'output' | 'cacheRead' | 'cacheWrite'>

/** One millionth of a dollar per million tokens is one pico-dollar per token. */
const toRates = (price: RatesText) => ({
  input: decimal(price.input, USD_PER_MILLION_DECIMALS),
  output: decimal(price.output, USD_PER_MILLION_DECIMALS),
  cacheRead: decimal(price.cacheRead, USD_PER_MILLION_DECIMALS),
  cacheWrite: decimal(price.cacheWrite, USD_PER_MILLION_DECIMALS)
})

/** A decimal text as a whole number of its smallest unit. */
function decimal(text: string, decimals: number): bigint {
  const [whole = '', fraction = ''] = text.split('.')
  return BigInt(whole + fraction.padEnd(decimals, '0'))
}

const oneLine = (text: string) => text.replaceAll(/\s+/g, ' ')
