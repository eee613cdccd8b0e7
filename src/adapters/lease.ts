import type { Db } from '#db'
import type { Clock } from '#kernel/clock.ts'
import type { ProjectId } from '#kernel/ids.ts'
import { LIMITS } from '#kernel/limits.ts'
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
    const leftMs = ms + times.giveUpAfterMs - clock.monotonicMs()
    expiry = setTimeout(() => lose('renewals failed'), leftMs)
  }
  const renew = async () => {
    const startedAt = clock.monotonicMs()
    try {
      if (!(await renewLeaseRow(db, projectId, token, times.ttlMs)))
        return lose('another worker took it over')
      if (!released) renewedAt(startedAt)
    } catch {
      // The next renewal tries again, until `giveUpAfterMs`.
    }
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
