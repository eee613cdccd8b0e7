import { Buffer } from 'node:buffer'
import { createParser } from 'eventsource-parser'
import { LIMITS } from '#kernel/limits.ts'
import type { AnswerCount } from './protocol.ts'

export interface AnswerReader {
  feed(chunk: Buffer): void
  end(): void
}

/** Counts an answer while it is forwarded, streamed or whole. It never delays the answer and ignores what it cannot parse. */
export function createAnswerReader(contentType: string, count: AnswerCount): AnswerReader {
  const read = (json: string) => {
    try {
      const data: unknown = JSON.parse(json)
      if (typeof data === 'object' && data !== null) count.read(data)
    } catch {
      // `[DONE]`, or invalid JSON of the provider, which is forwarded and left to the agent.
    }
  }
  return contentType.includes('text/event-stream') ? readEvents(read) : readWhole(read)
}

function readEvents(read: (json: string) => void): AnswerReader {
  const decoder = new TextDecoder()
  const parser = createParser({ onEvent: ({ data }) => read(data) })
  return {
    feed: (chunk) => parser.feed(decoder.decode(chunk, { stream: true })),
    // Completes the last event of a stream that ended without the final empty line.
    end: () => parser.feed('\n\n')
  }
}

function readWhole(read: (json: string) => void): AnswerReader {
  const chunks: Buffer[] = []
  let size = 0
  return {
    feed(chunk) {
      size += chunk.length
      if (size <= LIMITS.modelRequestBytesMax) chunks.push(chunk)
    },
    end: () => read(Buffer.concat(chunks).toString())
  }
}
