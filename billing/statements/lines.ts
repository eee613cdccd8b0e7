import type { Goodwill } from '#kernel/frames.ts'
import { JOB_FAILURES, type JobFailureCode } from '#kernel/job-failures.ts'
import type { Memo } from '../ledger-answers.ts'

export type LineKind = 'grant' | 'hold' | 'extend' | 'charge' | 'release'

export interface LineUsage {
  readonly input: number
  readonly output: number
  readonly reasoning: number
  readonly cacheRead: number
  readonly cacheWrite: number
  readonly costUsd: number
}

/** US dollars per million tokens. */
export interface LinePrice {
  readonly priceList: string
  readonly inputUsd: string
  readonly outputUsd: string
  readonly cacheReadUsd: string
  readonly cacheWriteUsd: string
  /** Whether long prompts of this model have higher prices. */
  readonly tiered: boolean
}

export interface LineFacts {
  readonly kind: LineKind
  readonly memo: Memo
  /** `succeeded`, or the error code of the job; null while it runs. */
  readonly outcome: string | null
  /** Of a failure whose refunds have a budget: the decision; null for others, and when nothing was used. */
  readonly goodwill: Goodwill | null
}

/** The title of a line. */
export function titleOf(facts: LineFacts): string {
  const { kind, memo, outcome } = facts
  const job = typeof memo['prompt'] === 'string' ? `“${memo['prompt']}”` : 'a job'
  switch (kind) {
    case 'grant':
      return memo['reason'] === 'purchase' ? 'Credits purchased' : 'Credits added'
    case 'hold':
      return `Reserved for ${job}`
    case 'extend':
      return `Additional credits reserved for ${job}`
    case 'charge':
      return `Charged for ${job}${ending(facts)}`
    case 'release':
      if (isRefund(facts)) return `Refunded: ${job} failed (${outcome})`
      return `Released: reserved for ${job} and not used`
  }
}

/** The explanation of a charge: tokens and prices per million. Null for other lines. */
export function detailOf(facts: LineFacts): string | null {
  const { kind, memo } = facts
  if (kind === 'release') return isRefund(facts) ? 'No charge' : null
  const usage = kind === 'charge' ? usageOf(memo) : null
  if (!usage) return null

  const price = priceOf(memo)
  const parts = [
    [usage.input, 'in', price?.inputUsd],
    [usage.output + usage.reasoning, 'out', price?.outputUsd],
    [usage.cacheRead, 'read from the cache', price?.cacheReadUsd],
    [usage.cacheWrite, 'written to the cache', price?.cacheWriteUsd]
  ] as const
  const listed = parts
    .filter(([tokens]) => tokens > 0)
    .map(([tokens, what, usd], i) => {
      const number = `${tokens.toLocaleString('en')}${i === 0 ? ' tokens' : ''}`
      return `${number} ${what}${usd ? ` at $${usd}` : ''}`
    })
  if (listed.length === 0) return null
  const model = typeof memo['model'] === 'string' ? `${memo['model']}: ` : ''
  const tiers = price?.tiered ? ', more for long prompts' : ''
  return `${model}${listed.join(', ')}${price ? ` a million${tiers}` : ''}`
}

const USAGE = ['input', 'output', 'reasoning', 'cacheRead', 'cacheWrite', 'costUsd'] as const
const PRICE = ['priceList', 'inputUsd', 'outputUsd', 'cacheReadUsd', 'cacheWriteUsd'] as const

export function usageOf(memo: Memo): LineUsage | null {
  if (USAGE.some((name) => typeof memo[name] !== 'number')) return null
  return Object.fromEntries(USAGE.map((name) => [name, memo[name]])) as unknown as LineUsage
}

export function priceOf(memo: Memo): LinePrice | null {
  if (PRICE.some((name) => typeof memo[name] !== 'string')) return null
  const texts = Object.fromEntries(PRICE.map((name) => [name, memo[name]]))
  return { ...texts, tiered: memo['tiered'] === true } as LinePrice
}

/** Whether the job failed for a reason that the user does not pay for. */
function isRefund({ outcome, goodwill }: LineFacts): boolean {
  if (outcome === null || !Object.hasOwn(JOB_FAILURES, outcome)) return false
  switch (JOB_FAILURES[outcome as JobFailureCode].userPays) {
    case 'nothing':
      return true
    case 'goodwill':
      return goodwill === null || goodwill === 'refunded'
    case 'used':
      return false
  }
}

const USED_UP = {
  day_limit: 'goodwill refunds of 24 hours used up',
  hour_limit: 'goodwill refunds of this hour used up'
} as const

function ending({ outcome, goodwill }: LineFacts): string {
  if (outcome === null || outcome === 'succeeded') return ''
  if (goodwill !== null && goodwill !== 'refunded') {
    return ` (failed: ${outcome}; ${USED_UP[goodwill]})`
  }
  if (outcome === 'cancelled') return ' (cancelled; usage until then)'
  if (outcome === 'credits_exhausted') return ' (stopped at its credit limit)'
  return ` (failed: ${outcome}; usage until then)`
}
