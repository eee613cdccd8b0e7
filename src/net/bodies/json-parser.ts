import { Worker } from 'node:worker_threads'
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

/**
 * Parses JSON without blocking the event loop: large texts in a worker thread, one at a time. The thread is started by
 * the first large text. When it dies, its texts in progress are rejected, and the next one starts a new thread.
 */
export function createJsonParser(): JsonParser {
  const pending = new Map<number, PromiseWithResolvers<Parsed>>()
  let worker: Worker | undefined
  let lastId = 0

  const rejectAll = (error: Error) => {
    worker = undefined
    for (const request of pending.values()) request.reject(error)
    pending.clear()
  }
  const start = (): Worker => {
    const started = new Worker(WORKER)
    const fail = (error: Error) => {
      if (worker === started) rejectAll(error)
    }
    started.on('message', (message: FromParser) => {
      const request = pending.get(message.id)
      pending.delete(message.id)
      if ('error' in message) return request?.reject(new SyntaxError(message.error))
      const { buffer, byteOffset, byteLength } = message.bytes
      const bytes = Buffer.from(buffer, byteOffset, byteLength)
      return request?.resolve({ value: message.value, bytes })
    })
    started.on('error', (cause) => fail(new Error('the JSON worker failed', { cause })))
    started.on('exit', () => fail(new Error('the JSON worker exited')))
    // The server's own handles keep the process alive; this thread must not.
    started.unref()
    return started
  }

  return {
    async parse(bytes) {
      if (bytes.length <= INLINE_BYTES_MAX) return { value: parseJson(bytes), bytes }
      worker ??= start()
      const id = (lastId += 1)
      const request = Promise.withResolvers<Parsed>()
      pending.set(id, request)
      // Buffers of this size own their memory; a view of a pooled buffer could not be transferred.
      const message: ToParser = {
        id,
        bytes: new Uint8Array(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.length)
      }
      worker.postMessage(message, [message.bytes.buffer])
      return request.promise
    },

    async [Symbol.asyncDispose]() {
      const stopped = worker
      rejectAll(new Error('the server is shutting down'))
      await stopped?.terminate()
    }
  }
}
