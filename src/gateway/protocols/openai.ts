import { NO_USAGE, type Usage } from '#kernel/agent-events.ts'
import {
  lengthOf,
  numberOr,
  tokensOfChars,
  type AnswerCount,
  type ModelProtocol
} from './protocol.ts'

interface Chunk {
  readonly error?: unknown
  readonly usage?: {
    readonly prompt_tokens?: unknown
    readonly completion_tokens?: unknown
    readonly prompt_tokens_details?: {
      readonly cached_tokens?: unknown
      readonly cache_write_tokens?: unknown
    } | null
    readonly completion_tokens_details?: { readonly reasoning_tokens?: unknown } | null
  } | null
  readonly choices?: readonly { readonly delta?: Message; readonly message?: Message }[]
}

interface Message {
  readonly content?: unknown
  readonly reasoning_content?: unknown
  readonly reasoning?: unknown
  readonly tool_calls?: readonly { readonly function?: { readonly arguments?: unknown } }[] | null
}

/** `POST /chat/completions`: the last chunk contains the usage, if the request asks for it. */
export const openai: ModelProtocol = {
  path: '/chat/completions',
  keyHeaders: (key) => ({ authorization: `Bearer ${key}` }),

  maxTokens: (body) =>
    numberOr(body['max_completion_tokens'], undefined) ?? numberOr(body['max_tokens'], undefined),

  prepare(body, maxTokens) {
    const word = 'max_completion_tokens' in body ? 'max_completion_tokens' : 'max_tokens'
    const options = body['stream_options'] as { include_usage?: unknown } | undefined
    const asksForUsage = body['stream'] !== true || options?.include_usage === true
    if (body[word] === maxTokens && asksForUsage) return false
    body[word] = maxTokens
    if (!asksForUsage) body['stream_options'] = { ...options, include_usage: true }
    return true
  },

  promptChars: ({ messages, tools }) => JSON.stringify([messages, tools]).length,
  count: createCount,
  refusal: (type, message) => ({ error: { message, type, code: type } })
}

function createCount(): AnswerCount {
  let usage: Usage | undefined
  let chars = 0
  let failed = false

  return {
    read(data) {
      const chunk = data as Chunk
      if (chunk.error !== undefined && chunk.error !== null) failed = true
      for (const { delta, message } of chunk.choices ?? []) chars += charsOf(delta ?? message)
      if (chunk.usage) usage = usageOf(chunk.usage)
    },
    reported: () => usage,
    known: (input) =>
      failed && chars === 0 ? NO_USAGE : { ...NO_USAGE, input, output: tokensOfChars(chars) }
  }
}

/** This protocol includes cached tokens and reasoning in its totals. */
function usageOf(counts: NonNullable<Chunk['usage']>): Usage {
  const cacheRead = numberOr(counts.prompt_tokens_details?.cached_tokens, 0)
  const cacheWrite = numberOr(counts.prompt_tokens_details?.cache_write_tokens, 0)
  const reasoning = numberOr(counts.completion_tokens_details?.reasoning_tokens, 0)
  return {
    input: Math.max(0, numberOr(counts.prompt_tokens, 0) - cacheRead - cacheWrite),
    output: Math.max(0, numberOr(counts.completion_tokens, 0) - reasoning),
    reasoning,
    cacheRead,
    cacheWrite
  }
}

function charsOf(message: Message | undefined): number {
  if (!message) return 0
  const calls = message.tool_calls ?? []
  return (
    lengthOf(message.content) +
    lengthOf(message.reasoning_content ?? message.reasoning) +
    calls.reduce((sum, call) => sum + lengthOf(call.function?.arguments), 0)
  )
}
