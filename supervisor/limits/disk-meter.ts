import { Worker } from 'node:worker_threads'
import type { DiskUsage, WalkBounds } from './disk-walk.ts'
import type { FromWalker, ToWalker } from './disk-worker.ts'

/** Measures what folders occupy on disk. */
export interface DiskMeter extends AsyncDisposable {
  /** Ends early beyond the bounds. Rejects when the folders cannot be walked. */
  measure(folders: readonly string[], bounds?: WalkBounds): Promise<DiskUsage>
}

const WALKER = new URL('./disk-worker.ts', import.meta.url)
/** A walk without other bounds still ends. */
const BOUNDS: WalkBounds = { bytesMax: Infinity, filesMax: 5_000_000 }

/**
 * Walks folders in a worker thread, one request at a time: 100,000 files would block the event loop for half a second. The
 * thread is started by the first request. When it dies, its requests are rejected, and the next one starts a new thread.
 */
export function createDiskMeter(): DiskMeter {
  const pending = new Map<number, PromiseWithResolvers<DiskUsage>>()
  let worker: Worker | undefined
  let lastId = 0

  const rejectAll = (error: Error) => {
    worker = undefined
    for (const request of pending.values()) request.reject(error)
    pending.clear()
  }
  const start = (): Worker => {
    const started = new Worker(WALKER)
    const fail = (error: Error) => {
      if (worker === started) rejectAll(error)
    }
    started.on('message', (message: FromWalker) => {
      const request = pending.get(message.id)
      pending.delete(message.id)
      // An idle thread must not keep the process alive.
      if (pending.size === 0) started.unref()
      if ('error' in message) request?.reject(new Error(message.error))
      else request?.resolve(message.usage)
    })
    started.on('error', (cause) => fail(new Error('the disk walker failed', { cause })))
    started.on('exit', () => fail(new Error('the disk walker exited')))
    return started
  }

  return {
    measure(folders, bounds = BOUNDS) {
      worker ??= start()
      const id = (lastId += 1)
      const request = Promise.withResolvers<DiskUsage>()
      pending.set(id, request)
      worker.ref()
      const message: ToWalker = { id, folders, bounds }
      worker.postMessage(message, [])
      return request.promise
    },

    async [Symbol.asyncDispose]() {
      const stopped = worker
      rejectAll(new Error('the server is shutting down'))
      await stopped?.terminate()
    }
  }
}
