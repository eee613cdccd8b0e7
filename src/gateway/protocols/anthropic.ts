import { NO_USAGE } from '#kernel/agent-events.ts'
import {
  lengthOf,
  numberOr,
  tokensOfChars,
  type AnswerCount,
  type ModelProtocol
} from './protocol.ts'

interface Told {
  readonly input_tokens?: unknown
  readonly output_tokens?: unknown
  readonly cache_creation_input_tokens?: unknown
  readonly cache_read_input_tokens?: unknown
}

interface Event {
  readonly type?: string
  readonly message?: { readonly usage?: Told }
  readonly usage?: Told
  readonly delta?: Piece
  readonly content?: readonly Piece[]
}

interface Piece {
  readonly text?: unknown
  readonly thinking?: unknown
  readonly partial_json?: unknown
}

/** `POST /messages`: the input is told first, the output last. */
export const anthropic: ModelProtocol = {
  path: '/messages',
  keyHeaders: (key) => ({ 'x-api-key': key }),
  maxTokens: (body) => numberOr(body['max_tokens'], undefined),

  prepare(body, maxTokens) {
    if (body['max_tokens'] === maxTokens) return false
    body['max_tokens'] = maxTokens
    // Thinking is part of the answer, and must leave room for the rest of it.
    const thinking = body['thinking'] as { type?: string; budget_tokens?: number } | undefined
    if ((thinking?.budget_tokens ?? 0) >= maxTokens) delete body['thinking']
    return true
  },

  promptChars: ({ system, messages, tools }) => JSON.stringify([system, messages, tools]).length,
  count: createCount,
  refusal: (type, message) => ({ type: 'error', error: { type, message } })
}

function createCount(): AnswerCount {
  let told: Told = {}
  let whole = false
  let failed = false
  let chars = 0

  const hear = (more: Told | undefined) => {
    // Later numbers are sums, not additions; what is left out or null stays as it was told before.
    const given = Object.entries(more ?? {}).filter(
      ([, value]) => numberOr(value, undefined) !== undefined
    )
    told = { ...told, ...Object.fromEntries(given) }
  }

  return {
    read(data) {
      const event = data as Event
      if (event.type === 'message_start') hear(event.message?.usage)
      for (const piece of [event.delta ?? {}, ...(event.content ?? [])]) chars += charsOf(piece)
      if (event.type === 'error') failed = true
      if (event.type === 'message_delta' || event.type === 'message') {
        hear(event.usage)
        whole = isCount(event.usage?.output_tokens)
      }
    },
    told: () => (whole && isCount(told.input_tokens) ? usageOf(told) : undefined),
    known(inputTokens) {
      if (failed && chars === 0 && told.input_tokens === undefined) return NO_USAGE
      const { output, ...input } = usageOf(told)
      const heard = told.input_tokens === undefined ? { ...NO_USAGE, input: inputTokens } : input
      return { ...NO_USAGE, ...heard, output: Math.max(whole ? output : 0, tokensOfChars(chars)) }
    }
  }
}

const isCount = (value: unknown) => numberOr(value, undefined) !== undefined

const charsOf = ({ text, thinking, partial_json: json }: Piece) =>
  lengthOf(text) + lengthOf(thinking) + lengthOf(json)

/** This protocol counts thinking as output, and what the cache has to do with apart from the input. */
const usageOf = (told: Told) => ({
  input: numberOr(told.input_tokens, 0),
  output: numberOr(told.output_tokens, 0),
  reasoning: 0,
  cacheRead: numberOr(told.cache_read_input_tokens, 0),
  cacheWrite: numberOr(told.cache_creation_input_tokens, 0)
})
