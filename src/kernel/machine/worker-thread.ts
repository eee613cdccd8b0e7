import { Worker, type Transferable } from 'node:worker_threads'

/** A thread that answers requests, one at a time in the order in which they were sent. */
export interface WorkerThread<Request, Answer> extends AsyncDisposable {
  /** Rejects when the thread dies, or when it is disposed before it has answered. */
  ask(request: Request, transferred?: readonly Transferable[]): Promise<Answer>
}

/**
 * Starts the thread with its first request. When it dies, its requests are rejected, and the next one starts a new thread.
 * The script gets each request with an `id`, and posts each answer with the same `id`. An idle thread does not keep the
 * process alive.
 */
export function createWorkerThread<Request extends object, Answer extends { readonly id: number }>(
  script: URL,
  name: string
): WorkerThread<Request, Answer> {
  const pending = new Map<number, PromiseWithResolvers<Answer>>()
  let worker: Worker | undefined
  let lastId = 0

  const rejectAll = (error: Error) => {
    worker = undefined
    for (const request of pending.values()) request.reject(error)
    pending.clear()
  }
  const start = (): Worker => {
    const started = new Worker(script)
    const fail = (error: Error) => {
      if (worker === started) rejectAll(error)
    }
    started.on('message', (answer: Answer) => {
      const request = pending.get(answer.id)
      pending.delete(answer.id)
      if (pending.size === 0) started.unref()
      request?.resolve(answer)
    })
    started.on('error', (cause) => fail(new Error(`the ${name} failed`, { cause })))
    started.on('exit', () => fail(new Error(`the ${name} exited`)))
    return started
  }

  return {
    ask(request, transferred = []) {
      worker ??= start()
      const id = (lastId += 1)
      const answered = Promise.withResolvers<Answer>()
      pending.set(id, answered)
      worker.ref()
      worker.postMessage({ ...request, id }, [...transferred])
      return answered.promise
    },

    async [Symbol.asyncDispose]() {
      const stopped = worker
      rejectAll(new Error('the server is shutting down'))
      await stopped?.terminate()
    }
  }
}
