/** Limits of a JSON text that make parsing it cheap. */
export interface JsonLimits {
  /** Arrays and objects inside of each other. */
  readonly depthMax: number
  /** Elements of arrays and members of objects, in all. */
  readonly valuesMax: number
}

export type JsonExcess = 'too-deep' | 'too-many-values'

export interface JsonScan {
  /** Reads the next bytes of the text; answers which limit is exceeded so far. */
  push(chunk: Uint8Array): JsonExcess | undefined
}

const QUOTE = 0x22
const COMMA = 0x2c
const BACKSLASH = 0x5c
const [OPEN_ARRAY, CLOSE_ARRAY, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d]

/**
 * Counts the structure of a JSON text while its bytes arrive, in constant memory and linear time. `JSON.parse` takes up
 * to 4 s for 16 MB of brackets, 2 s for 16 MB of `{},`, and 0.1 s for 16 MB in a few strings: its time follows the
 * number of values, so a text within these limits is cheap to parse. For a text that is no JSON the counts are right up
 * to the first error, where the parser stops too.
 */
export function createJsonScan({ depthMax, valuesMax }: JsonLimits): JsonScan {
  let depth = 0
  let values = 0
  let inString = false
  let escaped = false

  return {
    push(chunk) {
      // By index: an iterator would take four times as long.
      for (let at = 0; at < chunk.length; at += 1) {
        const byte = chunk[at]
        if (inString) {
          if (escaped) escaped = false
          else if (byte === BACKSLASH) escaped = true
          else if (byte === QUOTE) inString = false
        } else if (byte === QUOTE) inString = true
        else if (byte === COMMA) values += 1
        else if (byte === OPEN_ARRAY || byte === OPEN_OBJECT) {
          depth += 1
          values += 1
          if (depth > depthMax) return 'too-deep'
        } else if (byte === CLOSE_ARRAY || byte === CLOSE_OBJECT) depth -= 1
      }
      return values > valuesMax ? 'too-many-values' : undefined
    }
  }
}
