import { createParser } from 'eventsource-parser'
import type { AnswerCount } from '../protocols/protocol.ts'

export interface AnswerReader {
  feed(chunk: Uint8Array): void
  end(): void
}

/** The line after the last event of a stream of chat completions. */
const DONE = '[DONE]'

/** Reads the events of a stream while it is forwarded. It never delays the stream and ignores what it cannot parse. */
export function createEventReader(count: AnswerCount): AnswerReader {
  const decoder = new TextDecoder()
  const onEvent = ({ data }: { data: string }) => {
    if (data.trim() === DONE) return count.done()
    const event = parsed(data)
    if (event) count.read(event)
  }
  const parser = createParser({ onEvent })
  return {
    feed: (chunk) => parser.feed(decoder.decode(chunk, { stream: true })),
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
