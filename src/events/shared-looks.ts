import type { Frame } from '#kernel/frames.ts'
import type { ProjectId } from '#kernel/ids.ts'
import type { PageOfFrames } from './event-store.ts'

/** Where a reader stands, and whether much is expected to come after it. */
interface Place extends Omit<PageOfFrames, 'limit'> {
  readonly isBehind: boolean
}

export interface Seen {
  readonly frames: readonly Frame[]
  /** The page was full, and the next one may hold something. */
  readonly more: boolean
}

/**
 * Readers who stand at the same place look once, together: a frame costs its watchers one read, however many they are.
 * Whoever hears the project's bell calls `forget` first, so that nobody joins a look that began before the ring.
 */
export function shareLooks(read: (projectId: ProjectId, place: Place) => Promise<Seen>) {
  const looking = new Map<ProjectId, Map<string, Promise<Seen>>>()

  return {
    look(projectId: ProjectId, place: Place): Promise<Seen> {
      const looks = looking.get(projectId) ?? new Map<string, Promise<Seen>>()
      const key = JSON.stringify([place.after, place.jobId, place.types, place.isBehind])
      const begun = looks.get(key)
      if (begun) return begun

      const look = read(projectId, place).finally(() => {
        looks.delete(key)
        if (looks.size === 0 && looking.get(projectId) === looks) looking.delete(projectId)
      })
      looking.set(projectId, looks.set(key, look))
      return look
    },
    forget: (projectId: ProjectId) => void looking.delete(projectId)
  }
}
