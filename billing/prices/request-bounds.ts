import { LIMITS } from '#kernel/limits.ts'
import type { Microcredits } from '#kernel/money.ts'
import { ceilingOf, type Price } from './pricing.ts'

/** Tokens that a provider adds to a request: its own instructions about tools, and around each message. */
export const HIDDEN_TOKENS = 500
/** Of the agent's own instructions and tools. Its shortest ones (mode `ask`) have 16,800 bytes, and fewer tokens when cached. */
const AGENT_PROMPT_TOKENS_MIN = 2000
const BYTES_PER_TOKEN = 4

/**
 * No model request of a job with this prompt is opened with fewer credits: a lower bound of what the gateway asks for the
 * first one, with the shortest answer that is worth a request.
 */
export function smallestCost(prompt: string, price: Price): Microcredits {
  const promptTokens = Math.ceil(Buffer.byteLength(prompt) / BYTES_PER_TOKEN)
  const answerTokens = Math.min(LIMITS.answerTokensMin, price.outputTokens ?? Infinity)
  return ceilingOf(AGENT_PROMPT_TOKENS_MIN + HIDDEN_TOKENS + promptTokens, answerTokens, price)
}
