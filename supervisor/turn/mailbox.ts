/** A line of letters between one that cannot wait and one that reads at its own pace. */
export interface Mailbox<T> extends AsyncIterable<T> {
  put(letter: T): void
  /** No more letters; what is in the box is still read. */
  end(): void
  /** As `end`, and the reader then learns why. */
  fail(reason: Error): void
}

export function createMailbox<T>(): Mailbox<T> {
  const letters: T[] = []
  let ended = false
  let failure: Error | undefined
  let bell = Promise.withResolvers<void>()

  const close = (reason?: Error) => {
    if (ended) return
    ended = true
    failure = reason
    bell.resolve()
  }

  return {
    put(letter) {
      if (ended) return
      letters.push(letter)
      bell.resolve()
    },
    end: () => close(),
    fail: close,
    async *[Symbol.asyncIterator]() {
      for (;;) {
        yield* letters.splice(0)
        if (letters.length > 0) continue
        if (ended) break
        await bell.promise
        bell = Promise.withResolvers<void>()
      }
      if (failure) throw failure
    }
  }
}
