import { Buffer } from 'node:buffer'
import { createParser } from 'eventsource-parser'
import { LIMITS } from '#kernel/limits.ts'
import type { AnswerCount } from './protocol.ts'

export interface AnswerReader {
  feed(chunk: Buffer): void
  end(): void
}

/** Reads an answer over its shoulder, streamed or whole: it never holds it up, and what it cannot read it lets pass. */
export function createAnswerReader(contentType: string, count: AnswerCount): AnswerReader {
  const read = (json: string) => {
    try {
      const data: unknown = JSON.parse(json)
      if (typeof data === 'object' && data !== null) count.read(data)
    } catch {
      // `[DONE]`, or a provider's mistake: it is the client's to complain about.
    }
  }
  return contentType.includes('text/event-stream') ? readEvents(read) : readWhole(read)
}

function readEvents(read: (json: string) => void): AnswerReader {
  const decoder = new TextDecoder()
  const parser = createParser({ onEvent: ({ data }) => read(data) })
  return {
    feed: (chunk) => parser.feed(decoder.decode(chunk, { stream: true })),
    // A stream that breaks off after its last event's line has still said it.
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
