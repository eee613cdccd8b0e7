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

/** Waits no longer than until the signal aborts, and rejects with its reason; the work itself goes on. */
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

/** Works that are handed to what this returns are done one after the other, in that order; one that fails holds up nobody. */
export function createSerialQueue(): SerialQueue {
  let last: Promise<unknown> = Promise.resolve()
  return (work) => {
    const mine = last.then(work)
    last = mine.catch(() => {})
    return mine
  }
}
