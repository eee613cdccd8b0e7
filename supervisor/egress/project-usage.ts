import type { Clock } from '#kernel/clock.ts'
import type { ProjectId } from '#kernel/ids.ts'

/** One connection's part of what its project may use. Disposing it frees the connection. */
export interface Share extends Disposable {
  /** Counts transferred bytes; false when the project has used up those of the day. */
  add(bytes: number): boolean
}

export interface ProjectUsage {
  open(projectId: ProjectId): Share | 'too_many_connections' | 'bytes_used_up'
}

export interface UsageLimits {
  readonly connectionsMax: number
  /** From 0:00 to 24:00 UTC, both directions together. */
  readonly bytesPerDay: number
}

interface Used {
  connections: number
  bytes: number
}

const DAY_MS = 24 * 60 * 60 * 1000

/** Counts each project's connections and bytes, in memory: a restart of the server begins at zero. */
export function createProjectUsage(
  { connectionsMax, bytesPerDay }: UsageLimits,
  clock: Pick<Clock, 'now'>
): ProjectUsage {
  const projects = new Map<ProjectId, Used>()
  let today = 0

  const beginDay = () => {
    const day = Math.floor(clock.now().getTime() / DAY_MS)
    if (day === today) return
    today = day
    for (const [id, used] of projects) {
      used.bytes = 0
      if (used.connections === 0) projects.delete(id)
    }
  }

  return {
    open(projectId) {
      beginDay()
      const used = projects.get(projectId) ?? { connections: 0, bytes: 0 }
      projects.set(projectId, used)
      if (used.connections >= connectionsMax) return 'too_many_connections'
      if (used.bytes >= bytesPerDay) return 'bytes_used_up'
      used.connections += 1
      let isOpen = true
      return {
        add(bytes) {
          beginDay()
          used.bytes += bytes
          return used.bytes <= bytesPerDay
        },
        [Symbol.dispose]() {
          if (isOpen) used.connections -= 1
          isOpen = false
        }
      }
    }
  }
}
