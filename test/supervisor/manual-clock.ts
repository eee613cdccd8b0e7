import { setImmediate as turn } from 'node:timers/promises'
import type { Clock } from '#kernel/clock.ts'

export interface ManualClock extends Clock {
  /** Moves time forward and wakes each sleeper when its time has come. */
  advance(ms: number): Promise<void>
  /** How many sleep at this moment. */
  sleepers(): number
}

const EPOCH_MS = Date.parse('2026-01-01T12:00:00Z')

/** A clock that stands still until the test moves it. */
export function createManualClock(): ManualClock {
  let nowMs = 0
  const sleeping = new Set<{ readonly dueMs: number; readonly wake: () => void }>()

  return {
    now: () => new Date(EPOCH_MS + nowMs),
    monotonicMs: () => nowMs,
    async sleep(ms, signal) {
      signal?.throwIfAborted()
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      const sleeper = { dueMs: nowMs + ms, wake: resolve }
      const abort = () => reject(signal?.reason as Error)
      sleeping.add(sleeper)
      signal?.addEventListener('abort', abort, { once: true })
      await promise.finally(() => {
        sleeping.delete(sleeper)
        signal?.removeEventListener('abort', abort)
      })
    },
    async advance(ms) {
      const endMs = nowMs + ms
      for (;;) {
        await turn()
        const [next] = [...sleeping].toSorted((a, b) => a.dueMs - b.dueMs)
        if (!next || next.dueMs > endMs) break
        nowMs = Math.max(nowMs, next.dueMs)
        sleeping.delete(next)
        next.wake()
      }
      nowMs = endMs
    },
    sleepers: () => sleeping.size
  }
}
