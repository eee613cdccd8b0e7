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

/** US dollars for a million tokens. */
export interface LinePrice {
  readonly priceList: string
  readonly inputUsd: string
  readonly outputUsd: string
  readonly cacheReadUsd: string
  readonly cacheWriteUsd: string
  /** Whether long prompts of this model have a dearer price than this. */
  readonly tiered: boolean
}

export interface LineFacts {
  readonly kind: LineKind
  readonly memo: Memo
  /** How the job ended: `succeeded` or why it failed; null while it has not. */
  readonly outcome: string | null
}

/** What happened, in words for the owner of the wallet. */
export function titleOf({ kind, memo, outcome }: LineFacts): string {
  const job = typeof memo['prompt'] === 'string' ? `“${memo['prompt']}”` : 'a job'
  switch (kind) {
    case 'grant':
      return memo['reason'] === 'purchase' ? 'Credits bought' : 'Credits added'
    case 'hold':
      return `Reserved for ${job}`
    case 'extend':
      return `Reserved more for ${job}`
    case 'charge':
      return `Paid for ${job}${ending(outcome)}`
    case 'release':
      if (isRefund(outcome)) return `Refunded: ${job} failed (${outcome})`
      return `Given back: reserved for ${job} and not used`
  }
}

/** How a charge came about: tokens and what a million of them cost. Null where there is nothing to explain. */
export function detailOf({ kind, memo, outcome }: LineFacts): string | null {
  if (kind === 'release') return isRefund(outcome) ? 'Nothing is charged for it' : null
  const usage = kind === 'charge' ? usageOf(memo) : null
  if (!usage) return null

  const price = priceOf(memo)
  const parts = [
    [usage.input, 'in', price?.inputUsd],
    [usage.output + usage.reasoning, 'out', price?.outputUsd],
    [usage.cacheRead, 'read from the cache', price?.cacheReadUsd],
    [usage.cacheWrite, 'written to the cache', price?.cacheWriteUsd]
  ] as const
  const told = parts
    .filter(([tokens]) => tokens > 0)
    .map(([tokens, what, usd], i) => {
      const number = `${tokens.toLocaleString('en')}${i === 0 ? ' tokens' : ''}`
      return `${number} ${what}${usd ? ` at $${usd}` : ''}`
    })
  if (told.length === 0) return null
  const model = typeof memo['model'] === 'string' ? `${memo['model']}: ` : ''
  const dearer = price?.tiered ? ', more for long prompts' : ''
  return `${model}${told.join(', ')}${price ? ` a million${dearer}` : ''}`
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

/** The user does not pay when the reason is not the user's. */
function isRefund(outcome: string | null): boolean {
  if (outcome === null || !Object.hasOwn(JOB_FAILURES, outcome)) return false
  return JOB_FAILURES[outcome as JobFailureCode].userPays === 'nothing'
}

function ending(outcome: string | null): string {
  if (outcome === null || outcome === 'succeeded') return ''
  if (outcome === 'cancelled') return ', which was cancelled: what it had used'
  if (outcome === 'credits_exhausted') return ', which used up what it may cost'
  return `, which failed (${outcome}): what it had used`
}
