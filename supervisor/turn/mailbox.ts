/** An unbounded queue between a producer that cannot wait and one consumer that reads at its own pace. */
export interface Mailbox<T> extends AsyncIterable<T> {
  put(item: T): void
  /** Accepts no more items; the consumer still reads those in the queue. */
  end(): void
  /** As `end`; the consumer receives the error after the last item. */
  fail(error: Error): void
}

export function createMailbox<T>(): Mailbox<T> {
  const items: T[] = []
  let ended = false
  let failure: Error | undefined
  let changed = Promise.withResolvers<void>()

  const close = (error?: Error) => {
    if (ended) return
    ended = true
    failure = error
    changed.resolve()
  }

  return {
    put(item) {
      if (ended) return
      items.push(item)
      changed.resolve()
    },
    end: () => close(),
    fail: close,
    async *[Symbol.asyncIterator]() {
      for (;;) {
        yield* items.splice(0)
        if (items.length > 0) continue
        if (ended) break
        await changed.promise
        changed = Promise.withResolvers<void>()
      }
      if (failure) throw failure
    }
  }
}
