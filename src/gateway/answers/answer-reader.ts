import { createParser } from 'eventsource-parser'
import { LIMITS } from '#kernel/limits.ts'
import type { AnswerCount } from '../protocols/protocol.ts'

export interface AnswerReader {
  feed(chunk: Uint8Array): void
  end(): void
}

/** The line after the last event of a stream of chat completions. */
const DONE = '[DONE]'

/**
 * Reads the events of a stream while it is forwarded. It never delays the stream and ignores what it cannot parse. Throws
 * when an event is longer than a whole answer may be: the parser keeps it until its end.
 */
export function createEventReader(count: AnswerCount): AnswerReader {
  const decoder = new TextDecoder()
  let eventBytes = 0
  const onEvent = ({ data }: { data: string }) => {
    eventBytes = 0
    if (data.trim() === DONE) return count.done()
    const event = parsed(data)
    if (event) count.read(event)
  }
  const parser = createParser({ onEvent })
  return {
    feed(chunk) {
      eventBytes += chunk.length
      parser.feed(decoder.decode(chunk, { stream: true }))
      if (eventBytes > LIMITS.modelAnswerBytesMax) {
        throw new Error('The model provider has sent an event that is too large')
      }
    },
    // Completes the last event of a stream that ended without the final empty line.
    end: () => parser.feed('\n\n')
  }
}

/** A JSON object, or undefined: invalid JSON of a provider is left to the agent. */
export function parsed(json: string): Record<string, unknown> | undefined {
  try {
    const data: unknown = JSON.parse(json)
    const isObject = typeof data === 'object' && data !== null && !Array.isArray(data)
    return isObject ? (data as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}
