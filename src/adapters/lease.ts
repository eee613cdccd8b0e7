import type { Db } from '#db'
import type { Clock } from '#kernel/clock.ts'
import type { ProjectId } from '#kernel/ids.ts'
import { LIMITS } from '#kernel/limits.ts'
import { within } from '#kernel/waiting.ts'
import type { Lease } from '#ports/lock.ts'
import { releaseLeaseRow, renewLeaseRow, takeLeaseRow } from './lease-store.ts'

export interface LeaseTimes {
  readonly ttlMs: number
  readonly renewEveryMs: number
  readonly giveUpAfterMs: number
}

const TIMES: LeaseTimes = {
  ttlMs: LIMITS.leaseTtlMs,
  renewEveryMs: LIMITS.leaseRenewEveryMs,
  giveUpAfterMs: LIMITS.leaseGiveUpAfterMs
}

/** A busy process runs its timers later than this only when it hangs as a suspended one does. */
const LATE_MS = 500

/**
 * Acquires the lease row of a project and renews it until disposal. Its signal aborts when another worker has the row, or
 * when no renewal has succeeded for `giveUpAfterMs` of monotonic time.
 */
export async function openLease(
  db: Db,
  clock: Clock,
  projectId: ProjectId,
  holder: string,
  times: LeaseTimes = TIMES
): Promise<Lease | undefined> {
  const askedAt = clock.monotonicMs()
  const token = await takeLeaseRow(db, projectId, holder, times.ttlMs)
  if (token === undefined) return undefined

  const lost = new AbortController()
  const lose = (why: string) => lost.abort(new Error(`the lease of ${projectId} is lost: ${why}`))

  let expiry: NodeJS.Timeout
  const renewedAt = (ms: number) => {
    clearTimeout(expiry)
    const dueMs = ms + times.giveUpAfterMs
    expiry = setTimeout(() => void expire(dueMs), dueMs - clock.monotonicMs())
  }
  const renew = async (): Promise<boolean> => {
    const startedAt = clock.monotonicMs()
    try {
      const isOwn = await renewLeaseRow(db, projectId, token, times.ttlMs)
      if (!isOwn) lose('another worker took it over')
      else if (!released) renewedAt(startedAt)
      return isOwn
    } catch {
      // The next renewal tries again, until `giveUpAfterMs`.
      return false
    }
  }
  /** A timer that is late means that this process was suspended, and no renewal was tried: the row decides. */
  const expire = async (dueMs: number) => {
    const wasSuspended = clock.monotonicMs() - dueMs > LATE_MS
    if (wasSuspended && (await within(renew(), times.renewEveryMs, clock))) return
    lose('renewals failed')
  }
  renewedAt(askedAt)
  const renewing = setInterval(() => void renew(), times.renewEveryMs)

  let released: Promise<void> | undefined
  return {
    projectId,
    token,
    signal: lost.signal,
    [Symbol.asyncDispose]: () => {
      clearInterval(renewing)
      clearTimeout(expiry)
      return (released ??= releaseLeaseRow(db, projectId, token))
    }
  }
}
