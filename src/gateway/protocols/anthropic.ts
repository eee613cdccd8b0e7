import { NO_USAGE } from '#kernel/agent-events.ts'
import {
  lengthOf,
  numberOr,
  tokensOfChars,
  type AnswerCount,
  type ModelProtocol
} from './protocol.ts'

interface WireUsage {
  readonly input_tokens?: unknown
  readonly output_tokens?: unknown
  readonly cache_creation_input_tokens?: unknown
  readonly cache_read_input_tokens?: unknown
}

interface Event {
  readonly type?: string
  readonly message?: { readonly usage?: WireUsage }
  readonly usage?: WireUsage
  readonly delta?: Piece
  readonly content?: readonly Piece[]
}

interface Piece {
  readonly text?: unknown
  readonly thinking?: unknown
  readonly partial_json?: unknown
}

/** `POST /messages`: the first event contains the input tokens, the last one the output tokens. */
export const anthropic: ModelProtocol = {
  path: '/messages',
  keyHeaders: (key) => ({ 'x-api-key': key }),
  maxTokens: (body) => numberOr(body['max_tokens'], undefined),

  prepare(body, maxTokens) {
    if (body['max_tokens'] === maxTokens) return false
    body['max_tokens'] = maxTokens
    // The thinking budget counts towards max_tokens, and must be smaller.
    const thinking = body['thinking'] as { type?: string; budget_tokens?: number } | undefined
    if ((thinking?.budget_tokens ?? 0) >= maxTokens) delete body['thinking']
    return true
  },

  promptChars: ({ system, messages, tools }) => JSON.stringify([system, messages, tools]).length,
  count: createCount,
  refusal: (type, message) => ({ type: 'error', error: { type, message } })
}

function createCount(): AnswerCount {
  let seen: WireUsage = {}
  let whole = false
  let failed = false
  let chars = 0

  const merge = (more: WireUsage | undefined) => {
    // Later numbers are cumulative; a missing or null number keeps its previous value.
    const given = Object.entries(more ?? {}).filter(
      ([, value]) => numberOr(value, undefined) !== undefined
    )
    seen = { ...seen, ...Object.fromEntries(given) }
  }

  return {
    read(data) {
      const event = data as Event
      if (event.type === 'message_start') merge(event.message?.usage)
      for (const piece of [event.delta ?? {}, ...(event.content ?? [])]) chars += charsOf(piece)
      if (event.type === 'error') failed = true
      if (event.type === 'message_delta' || event.type === 'message') {
        merge(event.usage)
        whole = isCount(event.usage?.output_tokens)
      }
    },
    reported: () => (whole && isCount(seen.input_tokens) ? usageOf(seen) : undefined),
    known(inputTokens) {
      if (failed && chars === 0 && seen.input_tokens === undefined) return NO_USAGE
      const { output, ...input } = usageOf(seen)
      const known = seen.input_tokens === undefined ? { ...NO_USAGE, input: inputTokens } : input
      return { ...NO_USAGE, ...known, output: Math.max(whole ? output : 0, tokensOfChars(chars)) }
    }
  }
}

const isCount = (value: unknown) => numberOr(value, undefined) !== undefined

const charsOf = ({ text, thinking, partial_json: json }: Piece) =>
  lengthOf(text) + lengthOf(thinking) + lengthOf(json)

/** This protocol counts thinking as output, and cached tokens separately from the input. */
const usageOf = (usage: WireUsage) => ({
  input: numberOr(usage.input_tokens, 0),
  output: numberOr(usage.output_tokens, 0),
  reasoning: 0,
  cacheRead: numberOr(usage.cache_read_input_tokens, 0),
  cacheWrite: numberOr(usage.cache_creation_input_tokens, 0)
})
