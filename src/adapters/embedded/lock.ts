import type { Db } from '#db'
import type { Clock } from '#kernel/clock.ts'
import type { ProjectId } from '#kernel/ids.ts'
import type { ProjectLock } from '#ports/lock.ts'
import { openLease, type LeaseTimes } from '../lease.ts'

/** Project locks within this process: a set of held projects first, then the lease row with its fencing token. */
export function createEmbeddedLock(db: Db, clock: Clock, times?: LeaseTimes): ProjectLock {
  const held = new Set<ProjectId>()

  return {
    async acquire(projectId) {
      if (held.has(projectId)) return undefined
      held.add(projectId)
      const free = () => held.delete(projectId)

      try {
        const lease = await openLease(db, clock, projectId, `pid ${process.pid}`, times)
        if (!lease) {
          free()
          return undefined
        }
        const release = async () => {
          // Also when releasing the row fails: the row expires by itself, the entry of the set would not.
          try {
            await lease[Symbol.asyncDispose]()
          } finally {
            free()
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
        free()
        throw error
      }
    }
  }
}
