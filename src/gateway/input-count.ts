import type { Usage } from '#kernel/agent-events.ts'
import type { Body } from './protocols/protocol.ts'

const BYTES_PER_TOKEN_MIN = 2
/** What a provider adds that is not in the body: its own words about tools, and around each message. */
const HIDDEN_TOKENS = 500
/** A picture is paid by its size on the screen, not in the body; no provider that we know goes above this. */
const IMAGE_TOKENS_MAX = 5000
const SHRUNK_MARGIN = 1.25
const SESSIONS_MAX = 2000

/** How large a request is, as far as its tokens depend on it. */
export interface RequestSize {
  /** Of the body, without what its pictures are made of. */
  readonly textBytes: number
  readonly images: number
}

export interface InputCount {
  /** At least as many tokens as the provider will count. */
  atMost(key: string, size: RequestSize): number
  /** About as many, by what the conversation weighed so far; undefined when nobody knows yet. */
  about(key: string, size: RequestSize): number | undefined
  /** What the provider counted for a request of this size. */
  learn(key: string, size: RequestSize, usage: Usage): void
}

/**
 * Counts input before anybody has counted it. Two bytes a token is more than text, code or JSON of any language needs; a
 * provider's tokenizer would be exact, and each has its own. A conversation only grows, so from its second request on
 * nearly all of it is what the provider itself counted the last time, and only what is new is guessed.
 */
export function createInputCount(): InputCount {
  const known = new Map<string, { readonly size: RequestSize; readonly tokens: number }>()

  return {
    atMost(key, size) {
      const last = known.get(key)
      if (!last) return guess(size)
      const added = size.textBytes - last.size.textBytes
      const images = Math.max(0, size.images - last.size.images)
      const grown = Math.max(0, added) / BYTES_PER_TOKEN_MIN + images * IMAGE_TOKENS_MAX
      // Smaller than before: it was summed up, and other text may weigh more a byte.
      const before = added >= 0 ? last.tokens : share(last, size) * SHRUNK_MARGIN
      return Math.ceil(before + grown) + HIDDEN_TOKENS
    },

    about(key, size) {
      const last = known.get(key)
      return last && Math.ceil(share(last, size))
    },

    learn(key, size, usage) {
      const tokens = usage.input + usage.cacheRead + usage.cacheWrite
      known.delete(key)
      if (tokens > 0) known.set(key, { size, tokens })
      const [oldest] = known.keys()
      if (known.size > SESSIONS_MAX && oldest !== undefined) known.delete(oldest)
    }
  }
}

const guess = ({ textBytes, images }: RequestSize) =>
  Math.ceil(textBytes / BYTES_PER_TOKEN_MIN) + images * IMAGE_TOKENS_MAX + HIDDEN_TOKENS

const share = (last: { size: RequestSize; tokens: number }, size: RequestSize) =>
  (last.tokens * size.textBytes) / Math.max(1, last.size.textBytes)

/** Pictures stand in the contents of messages, in both protocols, or in the results of tools. */
export function sizeOf(body: Body, bytes: number): RequestSize {
  let images = 0
  let imageBytes = 0
  const look = (content: unknown): void => {
    if (!Array.isArray(content)) return
    for (const part of content as readonly Record<string, unknown>[]) {
      const type = part?.['type']
      if (type === 'image' || type === 'image_url') {
        images += 1
        imageBytes += JSON.stringify(part).length
      } else if (type === 'tool_result') look(part['content'])
    }
  }
  const messages = Array.isArray(body['messages']) ? (body['messages'] as unknown[]) : []
  for (const message of messages) look((message as { content?: unknown } | null)?.content)
  return { textBytes: Math.max(0, bytes - imageBytes), images }
}
