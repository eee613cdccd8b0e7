import { setTimeout as sleep } from 'node:timers/promises'

/** Time, as something that is handed in: a test can hold it still. */
export interface Clock {
  /** Wall-clock time, for people and rows. */
  now(): Date
  /** Milliseconds that never go backwards, for measuring how long something took. */
  monotonicMs(): number
  /** Rejects with the signal's reason when it aborts first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

export const systemClock: Clock = {
  now: () => new Date(),
  monotonicMs: () => performance.now(),
  sleep: (ms, signal) => sleep(ms, undefined, signal ? { signal } : {})
}
