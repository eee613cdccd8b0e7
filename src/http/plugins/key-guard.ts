import type { Clock } from '#kernel/clock.ts'
import { LIMITS } from '#kernel/limits.ts'

/** Wrong keys and tickets per address. */
export interface KeyGuard {
  /** Milliseconds until this address may try another key; 0 when it may try now. */
  waitMs(address: string): number
  /** Counts a wrong key. */
  fail(address: string): void
}

interface Failures {
  readonly count: number
  readonly lastMs: number
}

const ADDRESSES_MAX = 10_000

/** The delay after so many wrong keys: none for the first ones, then 1 s, doubled by each further one. */
export function delayAfter(failures: number): number {
  const over = failures - LIMITS.wrongKeysFree
  if (over <= 0) return 0
  return Math.min(1000 * 2 ** Math.min(over - 1, 30), LIMITS.wrongKeyDelayMsMax)
}

/**
 * Delays guesses of keys per address. An attempt during the delay is refused without comparing the key, and is not
 * counted. Only time resets the count: a success would let an attacker with a valid key start over.
 */
export function createKeyGuard(clock: Pick<Clock, 'monotonicMs'>): KeyGuard {
  const known = new Map<string, Failures>()

  const failuresOf = (address: string): Failures | undefined => {
    const failures = known.get(address)
    if (!failures || clock.monotonicMs() - failures.lastMs < LIMITS.wrongKeysKeptMs) return failures
    known.delete(address)
    return undefined
  }

  return {
    waitMs(address) {
      const failures = failuresOf(address)
      if (!failures) return 0
      return Math.max(0, failures.lastMs + delayAfter(failures.count) - clock.monotonicMs())
    },
    fail(address) {
      const count = (failuresOf(address)?.count ?? 0) + 1
      known.delete(address)
      known.set(address, { count, lastMs: clock.monotonicMs() })
      const [oldest] = known.keys()
      if (known.size > ADDRESSES_MAX && oldest !== undefined) known.delete(oldest)
    }
  }
}
