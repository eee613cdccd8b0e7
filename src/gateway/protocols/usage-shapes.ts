import { NO_USAGE, type Usage } from '#kernel/agent-events.ts'

/** The numbers of a provider's usage blocks, by what they count. They are cumulative: a block repeats what came before. */
export interface WireCounts {
  /** All of the prompt, or only its part that is not from a cache; see `usageOf` of the protocol. */
  readonly prompt?: number
  readonly answer?: number
  readonly total?: number
  readonly reasoning?: number
  readonly cacheRead?: number
  readonly cacheWrite?: number
}
export type CountName = keyof WireCounts

/** Where a provider writes a number: the path of fields inside a usage block. */
export interface CountField {
  readonly count: CountName
  readonly path: readonly string[]
}

const field = (count: CountName, path: string): CountField => ({ count, path: path.split('.') })

/** Where a chunk of the chat completions protocol has its usage block. */
export const OPENAI_BLOCKS: readonly (readonly string[])[] = [
  // OpenAI, and most others.
  ['usage'],
  // Moonshot (Kimi): platform.moonshot.ai/docs, chat completion chunks.
  ['choices', '0', 'usage'],
  // Groq: console.groq.com/docs/api-reference, streamed chunks.
  ['x_groq', 'usage']
]

/** How providers of the chat completions protocol name their numbers. */
export const OPENAI_FIELDS: readonly CountField[] = [
  field('prompt', 'prompt_tokens'),
  field('answer', 'completion_tokens'),
  field('total', 'total_tokens'),
  field('reasoning', 'completion_tokens_details.reasoning_tokens'),
  field('cacheRead', 'prompt_tokens_details.cached_tokens'),
  // DeepSeek: api-docs.deepseek.com/guides/kv_cache.
  field('cacheRead', 'prompt_cache_hit_tokens'),
  // Moonshot (Kimi).
  field('cacheRead', 'cached_tokens'),
  // Gateways that pass Anthropic's names on: docs.litellm.ai/docs/completion/prompt_caching.
  field('cacheRead', 'cache_read_input_tokens'),
  field('cacheWrite', 'cache_creation_input_tokens'),
  // OpenRouter: openrouter.ai/docs, usage accounting.
  field('cacheWrite', 'prompt_tokens_details.cache_write_tokens')
]

/** Anthropic's names: docs.anthropic.com, messages and prompt caching. */
export const ANTHROPIC_FIELDS: readonly CountField[] = [
  field('prompt', 'input_tokens'),
  field('answer', 'output_tokens'),
  field('cacheRead', 'cache_read_input_tokens'),
  field('cacheWrite', 'cache_creation_input_tokens')
]

/**
 * Prompts include what came from the cache, and answers include reasoning, unless the total says otherwise: xAI counts
 * reasoning beside the answer, and Gemini's thoughts are in the total only.
 */
export function usageOfOpenai(counts: WireCounts): Usage {
  const { prompt = 0, answer = 0, cacheRead = 0, cacheWrite = 0, total } = counts
  const cached = cacheRead + cacheWrite
  const stated = counts.reasoning ?? 0
  const isWhole = counts.prompt !== undefined && counts.answer !== undefined
  const beside = isWhole ? Math.max(0, (total ?? 0) - prompt - answer) : 0
  // A cache that is larger than the prompt cannot be a part of it.
  const cacheIsBeside =
    cached > prompt ||
    (cached > 0 && beside > 0 && (beside === cached + stated || (beside === cached && !stated)))
  const hidden = cacheIsBeside ? Math.max(0, beside - cached) : beside
  const reasoningIsBeside = hidden > 0 || stated > answer
  return {
    input: cacheIsBeside ? prompt : prompt - cached,
    output: reasoningIsBeside ? answer : answer - stated,
    reasoning: reasoningIsBeside ? Math.max(stated, hidden) : stated,
    cacheRead,
    cacheWrite
  }
}

/** Answers include thinking, and prompts do not include what came from the cache. */
export const usageOfAnthropic = (counts: WireCounts): Usage => ({
  ...NO_USAGE,
  input: counts.prompt ?? 0,
  output: counts.answer ?? 0,
  cacheRead: counts.cacheRead ?? 0,
  cacheWrite: counts.cacheWrite ?? 0
})

/** What is at this path; undefined when a part of it is missing. */
export function at(data: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (value, name) => (value as Record<string, unknown> | null | undefined)?.[name],
    data
  )
}
