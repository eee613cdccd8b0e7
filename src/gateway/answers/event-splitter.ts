import { Buffer } from 'node:buffer'

export interface EventSplitter {
  /** The events that these bytes complete, each with the empty line that ends it. */
  feed(chunk: Uint8Array): Uint8Array[]
  /** The bytes of an event that has not ended; they are not kept any longer. */
  rest(): Uint8Array
}

const LF = 10
const CR = 13

/**
 * Cuts a stream of server-sent events behind each empty line, with any of the three ends of lines. Throws when an event is
 * longer than the limit.
 */
export function createEventSplitter(bytesMax: number): EventSplitter {
  let kept: Uint8Array[] = []
  let keptBytes = 0
  let isLineEmpty = true
  // The end of a line as well, unless LF follows: then both together are one.
  let isAfterCr = false

  const keep = (piece: Uint8Array) => {
    kept.push(piece)
    keptBytes += piece.length
    if (keptBytes > bytesMax) {
      throw new Error('The model provider has sent an event that is too large')
    }
  }
  const take = (): Uint8Array => {
    const event = kept.length === 1 ? kept[0]! : Buffer.concat(kept)
    kept = []
    keptBytes = 0
    return event
  }

  return {
    feed(chunk) {
      const events: Uint8Array[] = []
      let start = 0
      const endLine = (end: number) => {
        if (isLineEmpty) {
          keep(chunk.subarray(start, end))
          events.push(take())
          start = end
        }
        isLineEmpty = true
      }
      for (let at = 0; at < chunk.length; at += 1) {
        const byte = chunk[at]
        if (isAfterCr && byte !== LF) endLine(at)
        isAfterCr = byte === CR
        if (byte === LF) endLine(at + 1)
        else if (byte !== CR) isLineEmpty = false
      }
      if (start < chunk.length) keep(chunk.subarray(start))
      return events
    },
    rest: take
  }
}
