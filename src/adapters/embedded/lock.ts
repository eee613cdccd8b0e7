import type { Db } from '#db'
import type { Clock } from '#kernel/clock.ts'
import type { ProjectId } from '#kernel/ids.ts'
import type { ProjectLock } from '#ports/lock.ts'
import { openLease, type LeaseTimes } from '../lease.ts'

/** A set of the projects at work in front, the lease row with its fencing token behind. */
export function createEmbeddedLock(db: Db, clock: Clock, times?: LeaseTimes): ProjectLock {
  const held = new Set<ProjectId>()

  return {
    async acquire(projectId) {
      if (held.has(projectId)) return undefined
      held.add(projectId)
      const giveBack = () => held.delete(projectId)

      try {
        const lease = await openLease(db, clock, projectId, `pid ${process.pid}`, times)
        if (!lease) {
          giveBack()
          return undefined
        }
        const release = async () => {
          // Also when the row could not be released: it runs out by itself, and a set would hold it for ever.
          try {
            await lease[Symbol.asyncDispose]()
          } finally {
            giveBack()
          }
        }
        let released: Promise<void> | undefined
        return {
          projectId,
          token: lease.token,
          signal: lease.signal,
          [Symbol.asyncDispose]: () => (released ??= release())
        }
      } catch (error) {
        giveBack()
        throw error
      }
    }
  }
}
