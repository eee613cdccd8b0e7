import { systemClock, type Clock } from './clock.ts'

/** The value of a promise, or undefined when it has not resolved within this time. */
export async function within<T>(
  promise: Promise<T> | undefined,
  ms: number,
  clock: Pick<Clock, 'sleep'> = systemClock
): Promise<T | undefined> {
  if (promise === undefined) return undefined
  const over = new AbortController()
  const late = clock.sleep(ms, over.signal).then(
    () => undefined,
    () => undefined
  )
  try {
    return await Promise.race([promise, late])
  } finally {
    over.abort()
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
