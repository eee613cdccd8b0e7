import { createWorkerThread } from '#kernel/machine/worker-thread.ts'
import type { FromParser, ToParser } from './json-worker.ts'
import { parseJson } from './parse-json.ts'

export interface Parsed {
  readonly value: unknown
  /** The bytes that were given: use these from now on, since large ones have moved to another thread and back. */
  readonly bytes: Buffer
}

export interface JsonParser extends AsyncDisposable {
  /** Rejects with a `SyntaxError` when the bytes are not JSON in UTF-8. */
  parse(bytes: Buffer): Promise<Parsed>
}

/** Smaller texts take less than 5 ms here, which is less than the way to the worker and back. */
const INLINE_BYTES_MAX = 512 * 1024
const WORKER = new URL('./json-worker.ts', import.meta.url)

/** Parses JSON without blocking the event loop: large texts in a worker thread, one at a time. */
export function createJsonParser(): JsonParser {
  const worker = createWorkerThread<ToParser, FromParser>(WORKER, 'JSON worker')

  return {
    async parse(given) {
      if (given.length <= INLINE_BYTES_MAX) return { value: parseJson(given), bytes: given }
      // Buffers of this size own their memory; a view of a pooled buffer could not be transferred.
      const whole = given.buffer as ArrayBuffer
      const sent = new Uint8Array(whole, given.byteOffset, given.length)
      const answer = await worker.ask({ bytes: sent }, [sent.buffer])
      if ('error' in answer) throw new SyntaxError(answer.error)
      const { buffer, byteOffset, byteLength } = answer.bytes
      return { value: answer.value, bytes: Buffer.from(buffer, byteOffset, byteLength) }
    },
    [Symbol.asyncDispose]: () => worker[Symbol.asyncDispose]()
  }
}
