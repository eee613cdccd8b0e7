import type { Clock } from '#kernel/clock.ts'
import type { Log } from '#kernel/log.ts'

export interface PollOptions<T> {
  readonly clock: Pick<Clock, 'monotonicMs' | 'sleep'>
  readonly log: Pick<Log, 'error'>
  /** Ends the polling. */
  readonly signal: AbortSignal
  readonly everyMs: number
  /** The longest pause, after checks that take long. */
  readonly maxMs: number
  /** Called once, with what a check has found; then the polling ends. */
  readonly onFound: (found: T) => void
}

/** A pause is this many times as long as the check before it: checks take 5 % of the time at most, up to `maxMs`. */
const PAUSE_FACTOR = 20

/** Calls the check until it finds something. Never rejects: a check that fails is logged and repeated. */
export async function pollUntil<T>(
  check: () => Promise<T | undefined>,
  { clock, log, signal, everyMs, maxMs, onFound }: PollOptions<T>
): Promise<void> {
  while (!signal.aborted) {
    const sinceMs = clock.monotonicMs()
    const found = await check().catch((err: unknown) => {
      log.error({ err }, 'failed to measure a room')
      return undefined
    })
    if (signal.aborted) return
    if (found !== undefined) return onFound(found)
    const tookMs = clock.monotonicMs() - sinceMs
    const pauseMs = Math.min(maxMs, Math.max(everyMs, tookMs * PAUSE_FACTOR))
    await clock.sleep(pauseMs, signal).catch(() => {})
  }
}
