import type { Usage } from '#kernel/agent-events.ts'
import { at, type CountField, type CountName, type WireCounts } from './usage-shapes.ts'

/** More than the longest context of any model that is offered; a larger number is a provider's mistake. */
const TOKENS_MAX = 10_000_000

export interface UsageCount {
  /** Reads a usage block; whatever else is given is ignored. */
  read(block: unknown): void
  /** Whether a block had this number. */
  has(count: CountName): boolean
  /** What the blocks say together, by field. */
  usage(): Usage
  /** A number was negative, a fraction, a text or absurd: the provider's count cannot be believed. */
  isImpossible(): boolean
}

/**
 * Puts the usage blocks of one answer together. Their numbers are cumulative, so that each is the largest of all blocks:
 * a later block may have only some of them, or zeros.
 */
export function createUsageCount(
  fields: readonly CountField[],
  usageOf: (counts: WireCounts) => Usage
): UsageCount {
  const counts: { -readonly [K in CountName]?: number } = {}
  let impossible = false

  return {
    read(block) {
      if (typeof block !== 'object' || block === null) return
      for (const { count, path } of fields) {
        const value = at(block, path)
        if (value === undefined || value === null) continue
        if (isTokens(value)) counts[count] = Math.max(counts[count] ?? 0, value)
        else impossible = true
      }
    },
    has: (count) => counts[count] !== undefined,
    usage: () => usageOf(counts),
    isImpossible: () => impossible
  }
}

export const isTokens = (value: unknown): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= TOKENS_MAX

export const inputOf = ({ input, cacheRead, cacheWrite }: Usage): number =>
  input + cacheRead + cacheWrite
export const outputOf = ({ output, reasoning }: Usage): number => output + reasoning

/**
 * The provider's count, if it can be true: every request has a prompt, and an answer with text has tokens. Undefined
 * otherwise: the usage has to be estimated.
 */
export function believed(count: UsageCount, answerChars: number): Usage | undefined {
  if (count.isImpossible()) return undefined
  const usage = count.usage()
  const canBe = inputOf(usage) > 0 && (answerChars === 0 || outputOf(usage) > 0)
  return canBe ? usage : undefined
}

/**
 * The best estimate where the provider's count is missing or cannot be true: its numbers for the prompt where it has
 * some, and never fewer answer tokens than it has sent.
 */
export function estimateOf(count: UsageCount, promptTokens: number, answerTokens: number): Usage {
  const usage = count.usage()
  const answered = outputOf(usage) >= answerTokens ? usage : { output: answerTokens, reasoning: 0 }
  const prompted = inputOf(usage) > 0 ? usage : { input: promptTokens, cacheRead: 0, cacheWrite: 0 }
  return {
    input: prompted.input,
    cacheRead: prompted.cacheRead,
    cacheWrite: prompted.cacheWrite,
    output: answered.output,
    reasoning: answered.reasoning
  }
}
