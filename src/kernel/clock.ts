import { setTimeout as sleep } from 'node:timers/promises'

/** Time as a dependency, so that tests control it. */
export interface Clock {
  /** Wall-clock time, for people and rows. */
  now(): Date
  /** Milliseconds that never go backwards, for measuring durations. */
  monotonicMs(): number
  /** Rejects with the signal's reason when it aborts first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

export const systemClock: Clock = {
  now: () => new Date(),
  monotonicMs: () => performance.now(),
  sleep: (ms, signal) => sleep(ms, undefined, signal ? { signal } : {})
}
