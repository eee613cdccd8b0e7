import { Buffer } from 'node:buffer'
import { createParser } from 'eventsource-parser'
import { LIMITS } from '#kernel/limits.ts'
import type { AnswerCount, CallIds, ModelProtocol } from '../protocols/protocol.ts'
import { createEventSplitter } from './event-splitter.ts'

export interface AnswerReader {
  /** Reads bytes, and answers what the agent gets of them: whole events, with other ids where calls need some. */
  feed(chunk: Uint8Array): Uint8Array
  /** The same for the last event of a stream that ended without the final empty line; nothing if it is not whole. */
  end(): Uint8Array
}

export interface ReaderDeps {
  readonly protocol: Pick<ModelProtocol, 'setCallIds' | 'piece'>
  readonly count: AnswerCount
  readonly callIds: CallIds
}

/** The line after the last event of a stream of chat completions. */
const DONE = '[DONE]'

/**
 * Reads the events of a stream while it is forwarded, and ignores what it cannot parse. Throws when an event is longer
 * than a whole answer may be: it is kept until its end.
 */
export function createEventReader({ protocol, count, callIds }: ReaderDeps): AnswerReader {
  const decoder = new TextDecoder()
  const splitter = createEventSplitter(LIMITS.modelAnswerBytesMax)
  let wasRead = false
  let changed: string | undefined
  const onEvent = ({ data }: { data: string }) => {
    const isDone = data.trim() === DONE
    const event = isDone ? undefined : parsed(data)
    wasRead = isDone || event !== undefined
    if (isDone) return count.done()
    if (!event) return
    count.read(event)
    if (protocol.setCallIds(event, callIds)) changed = protocol.piece(event)
  }
  const parser = createParser({ onEvent })
  const read = (event: Uint8Array): Uint8Array => {
    changed = undefined
    // With one more end of a line, because the parser waits for what follows a CR.
    parser.feed(`${decoder.decode(event, { stream: true })}\n`)
    return changed === undefined ? event : Buffer.from(changed)
  }

  return {
    feed: (chunk) => joined(splitter.feed(chunk).map(read)),
    end() {
      wasRead = false
      const last = read(joined([splitter.rest(), END_OF_EVENT]))
      return wasRead ? last : new Uint8Array()
    }
  }
}

const END_OF_EVENT = Buffer.from('\n\n')

const joined = (pieces: readonly Uint8Array[]): Uint8Array =>
  pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces)

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
