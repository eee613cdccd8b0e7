import { ceilingOf, priceOf, type NewRequest, type Price, type Purse } from '#billing'
import { NO_USAGE } from '#kernel/agent-events.ts'
import { LIMITS } from '#kernel/limits.ts'
import { least, type Microcredits } from '#kernel/money.ts'

const ATTEMPTS_MAX = 3

export interface RequestEstimate {
  readonly request: Omit<NewRequest, 'holdId' | 'maxCost' | 'floorCost'>
  readonly price: Price
  /** An upper bound of the provider's count. */
  readonly inputTokens: number
  /** An estimate of the provider's count. */
  readonly inputTokensUsual: number
  readonly maxTokens: number
}

/**
 * Opens a request whose maximum cost is covered, with the wanted limit of answer tokens, or with as many as the credits
 * cover. Undefined when they cover fewer than `LIMITS.answerTokensMin`.
 */
export async function afford(
  purse: Purse,
  estimate: RequestEstimate
): Promise<{ maxTokens: number } | undefined> {
  const { price, inputTokens } = estimate
  const usual = priceOf({ ...NO_USAGE, input: estimate.inputTokensUsual }, price)
  let maxTokens = estimate.maxTokens
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const maxCost = ceilingOf(inputTokens, maxTokens, price)
    const floorCost = least(usual, maxCost)
    const answer = await purse.open({ ...estimate.request, maxCost, floorCost })
    if (answer.kind === 'open') return { maxTokens }
    if (answer.kind === 'resolved') return undefined

    maxTokens = tokensThatFit(answer.available, inputTokens, price, maxTokens)
    if (maxTokens < Math.min(LIMITS.answerTokensMin, estimate.maxTokens)) return undefined
  }
  return undefined
}

/** The largest number of answer tokens below `most` that costs at most `available` with the input; -1 when none. */
export function tokensThatFit(
  available: Microcredits,
  inputTokens: number,
  price: Price,
  most: number
): number {
  let [fits, tooMany] = [-1, most]
  while (tooMany - fits > 1) {
    const middle = Math.floor((fits + tooMany) / 2)
    if (ceilingOf(inputTokens, middle, price) <= available) fits = middle
    else tooMany = middle
  }
  return fits
}
