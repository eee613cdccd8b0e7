import type { Clock } from '#kernel/clock.ts'
import type { Log } from '#kernel/log.ts'
import type { KiloClient } from '../kilo/client.ts'

/** The root session becomes idle some milliseconds after the event that closes its turn. */
const CLOSING_MS = 250
/** The first poll comes soon, because a usual turn is about to become idle; each next one takes twice as long. */
const POLL_MS_MIN = 5
const POLL_MS_MAX = 50

export interface BusySessionsOptions {
  readonly client: Pick<KiloClient, 'statuses' | 'abort'>
  readonly clock: Pick<Clock, 'monotonicMs' | 'sleep'>
  readonly log: Pick<Log, 'info'>
  /** A session that is busy for longer than this after the end of its turn does not stop. */
  readonly waitMs: number
  readonly onAborted: () => void
}

/**
 * Aborts every session that still works after a turn: sub-agents of a cancelled turn go on, and would spend the credits of
 * the next job and write into its work. An agent carries out one turn at a time, so that all busy sessions are leftovers.
 * Resolves with false when one is still busy after `waitMs`, or when Kilo does not answer.
 */
export async function endBusySessions(
  { client, clock, log, waitMs, onAborted }: BusySessionsOptions,
  rootSessionId: string
): Promise<boolean> {
  const startedAtMs = clock.monotonicMs()
  const aborted = new Set<string>()
  for (let pollMs = POLL_MS_MIN; ; pollMs = Math.min(2 * pollMs, POLL_MS_MAX)) {
    const statuses = await client.statuses().catch(() => undefined)
    if (!statuses) return false
    if (statuses.size === 0) return true
    const waitedMs = clock.monotonicMs() - startedAtMs
    if (waitedMs > waitMs) return false
    for (const session of statuses.keys()) {
      if (aborted.has(session)) continue
      if (session === rootSessionId && waitedMs < CLOSING_MS) continue
      aborted.add(session)
      onAborted()
      log.info({ session }, 'session aborted: it was busy after the end of its turn')
      await client.abort(session).catch(() => {})
    }
    await clock.sleep(pollMs)
  }
}
