/** The result of a promise, or undefined after a timeout. The work itself continues. */
export async function within<T>(
  promise: Promise<T> | undefined,
  ms: number
): Promise<T | undefined> {
  if (promise === undefined) return undefined
  const late = Promise.withResolvers<undefined>()
  const timer = setTimeout(() => late.resolve(undefined), ms)
  try {
    return await Promise.race([promise, late.promise])
  } finally {
    clearTimeout(timer)
  }
}

/** The result of a promise; rejects with the signal's reason when it aborts first. The work itself continues. */
export async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>()
  const abort = () => aborted.reject(signal.reason)
  if (signal.aborted) abort()
  signal.addEventListener('abort', abort)
  try {
    return await Promise.race([work, aborted.promise])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

export type SerialQueue = <T>(work: () => Promise<T>) => Promise<T>

/** Runs one work at a time, in the order of the calls. A failed work rejects its own promise and does not block the next. */
export function createSerialQueue(): SerialQueue {
  let last: Promise<unknown> = Promise.resolve()
  return (work) => {
    const mine = last.then(work)
    last = mine.catch(() => {})
    return mine
  }
}
