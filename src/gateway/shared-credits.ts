import type { Clock } from '#kernel/clock.ts'
import { createSerialQueue, within } from '#kernel/waiting.ts'

/** The concurrent requests of one job, which share its credits. */
export interface SharedCredits {
  /**
   * Repeats an attempt to cover a request until it succeeds. In between it waits until a sibling has ended and has given back
   * what it did not use. Undefined when no sibling is left to wait for, or after `waitMs`. Requests wait in the order of
   * their arrival: a small one does not overtake a large one that waits.
   */
  obtain<T>(attempt: () => Promise<T | undefined>, signal: AbortSignal): Promise<T | undefined>
  /** Counts as a sibling of others until the work has ended. */
  holding<T>(work: Promise<T>): Promise<T>
}

export function createSharedCredits(
  waitMs: number,
  clock: Pick<Clock, 'monotonicMs' | 'sleep'>
): SharedCredits {
  const inOrder = createSerialQueue()
  const holders = new Set<Promise<unknown>>()

  return {
    obtain: (attempt, signal) =>
      inOrder(async () => {
        const until = clock.monotonicMs() + waitMs
        for (;;) {
          const obtained = await attempt()
          const leftMs = until - clock.monotonicMs()
          if (obtained !== undefined || holders.size === 0 || leftMs <= 0) return obtained
          await within(Promise.race([...holders, aborted(signal)]), leftMs, clock)
          if (signal.aborted) return undefined
        }
      }),

    holding(work) {
      const held = work.then(
        () => {},
        () => {}
      )
      holders.add(held)
      void held.then(() => holders.delete(held))
      return work
    }
  }
}

const aborted = (signal: AbortSignal) =>
  new Promise<void>((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
