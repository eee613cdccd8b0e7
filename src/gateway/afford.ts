import { ceilingOf, priceOf, type NewRequest, type Price, type Purse } from '#billing'
import { NO_USAGE } from '#kernel/agent-events.ts'
import { LIMITS } from '#kernel/limits.ts'
import { least, type Microcredits } from '#kernel/money.ts'

const TRIES = 3

export interface Wish {
  readonly request: Omit<NewRequest, 'holdId' | 'maxCost' | 'floorCost'>
  readonly price: Price
  /** At least as many as the provider will count. */
  readonly inputTokens: number
  /** About as many. */
  readonly inputTokensUsual: number
  readonly maxTokens: number
}

/**
 * Opens a request whose dearest outcome is paid for, with as many tokens for the answer as it wants, or as many as there
 * are credits for. Undefined when that is too few for an answer to make sense.
 */
export async function afford(purse: Purse, wish: Wish): Promise<{ maxTokens: number } | undefined> {
  const { price, inputTokens } = wish
  const usual = priceOf({ ...NO_USAGE, input: wish.inputTokensUsual }, price)
  let maxTokens = wish.maxTokens
  for (let tried = 0; tried < TRIES; tried += 1) {
    const maxCost = ceilingOf(inputTokens, maxTokens, price)
    const floorCost = least(usual, maxCost)
    const answer = await purse.open({ ...wish.request, maxCost, floorCost })
    if (answer.kind === 'open') return { maxTokens }
    if (answer.kind === 'resolved') return undefined

    maxTokens = tokensThatFit(answer.room, inputTokens, price, maxTokens)
    if (maxTokens < Math.min(LIMITS.answerTokensMin, wish.maxTokens)) return undefined
  }
  return undefined
}

/** The longest answer, below `most`, that costs no more than this together with its input; -1 when none does. */
export function tokensThatFit(
  room: Microcredits,
  inputTokens: number,
  price: Price,
  most: number
): number {
  let [fits, tooMany] = [-1, most]
  while (tooMany - fits > 1) {
    const middle = Math.floor((fits + tooMany) / 2)
    if (ceilingOf(inputTokens, middle, price) <= room) fits = middle
    else tooMany = middle
  }
  return fits
}
