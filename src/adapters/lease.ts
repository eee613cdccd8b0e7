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
 * Holds the lease row of a project and renews it until disposed of. Its signal aborts when the row is not
 * ours any more, or when no renewal has succeeded for `giveUpAfterMs` of monotonic time.
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
  const loseIt = (why: string) => lost.abort(new Error(`the lease of ${projectId} is lost: ${why}`))

  let giveUp: NodeJS.Timeout
  const renewedAt = (ms: number) => {
    clearTimeout(giveUp)
    const leftMs = ms + times.giveUpAfterMs - clock.monotonicMs()
    giveUp = setTimeout(() => loseIt('it could not be renewed'), leftMs)
  }
  const renew = async () => {
    const startedAt = clock.monotonicMs()
    try {
      if (!(await renewLeaseRow(db, projectId, token, times.ttlMs))) return loseIt('taken over')
      if (!released) renewedAt(startedAt)
    } catch {
      // The next beat tries again; giveUpAfterMs decides when that has lasted too long.
    }
  }
  renewedAt(askedAt)
  const beat = setInterval(() => void renew(), times.renewEveryMs)

  let released: Promise<void> | undefined
  return {
    projectId,
    token,
    signal: lost.signal,
    [Symbol.asyncDispose]: () => {
      clearInterval(beat)
      clearTimeout(giveUp)
      return (released ??= releaseLeaseRow(db, projectId, token))
    }
  }
}
