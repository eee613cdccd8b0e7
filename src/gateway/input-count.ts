import { HIDDEN_TOKENS } from '#billing'
import type { Usage } from '#kernel/agent-events.ts'
import type { Body } from './protocols/protocol.ts'

const BYTES_PER_TOKEN_MIN = 2
/** Images are priced by their dimensions, not by their bytes; no known provider exceeds this. */
const IMAGE_TOKENS_MAX = 5000
const SHRUNK_MARGIN = 1.25
const SESSIONS_MAX = 2000

/** The size of a request, as far as its tokens depend on it. */
export interface RequestSize {
  /** Bytes of the body without its images. */
  readonly textBytes: number
  readonly images: number
}

export interface InputCount {
  /** An upper bound of the tokens that the provider will count. */
  atMost(key: string, size: RequestSize): number
  /** An estimate, from the conversation's last request; undefined before its first one. */
  about(key: string, size: RequestSize): number | undefined
  /** Records the provider's count for a request of this size. */
  learn(key: string, size: RequestSize, usage: Usage): void
}

/**
 * Estimates input tokens before a request. Two bytes per token is an upper bound for text, code and JSON in any language;
 * exact tokenizers differ by provider. A conversation only grows, so from its second request on the estimate is the
 * provider's last count plus an upper bound for the added bytes.
 */
export function createInputCount(): InputCount {
  const known = new Map<string, { readonly size: RequestSize; readonly tokens: number }>()

  return {
    atMost(key, size) {
      const last = known.get(key)
      if (!last) return upperBound(size)
      const added = size.textBytes - last.size.textBytes
      const images = Math.max(0, size.images - last.size.images)
      const grown = Math.max(0, added) / BYTES_PER_TOKEN_MIN + images * IMAGE_TOKENS_MAX
      // Smaller than before: the conversation was compacted, and the new text may have more tokens per byte.
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

const upperBound = ({ textBytes, images }: RequestSize) =>
  Math.ceil(textBytes / BYTES_PER_TOKEN_MIN) + images * IMAGE_TOKENS_MAX + HIDDEN_TOKENS

const share = (last: { size: RequestSize; tokens: number }, size: RequestSize) =>
  (last.tokens * size.textBytes) / Math.max(1, last.size.textBytes)

/** In both protocols images are in the contents of messages, or in tool results. */
export function sizeOf(body: Body, bytes: number): RequestSize {
  let images = 0
  let imageBytes = 0
  const visit = (content: unknown): void => {
    if (!Array.isArray(content)) return
    for (const part of content as readonly Record<string, unknown>[]) {
      const type = part?.['type']
      if (type === 'image' || type === 'image_url') {
        images += 1
        imageBytes += JSON.stringify(part).length
      } else if (type === 'tool_result') visit(part['content'])
    }
  }
  const messages = Array.isArray(body['messages']) ? (body['messages'] as unknown[]) : []
  for (const message of messages) visit((message as { content?: unknown } | null)?.content)
  return { textBytes: Math.max(0, bytes - imageBytes), images }
}
