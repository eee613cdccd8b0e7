import type { Frame } from '#kernel/frames.ts'
import type { ProjectId } from '#kernel/ids.ts'
import type { FrameQuery } from './event-store.ts'

/** Where a reader stands, and whether much is expected to come after it. */
interface Position extends Omit<FrameQuery, 'limit'> {
  readonly isBehind: boolean
}

export interface FramePage {
  readonly frames: readonly Frame[]
  /** The page was full, and the next one may hold something. */
  readonly more: boolean
}

export type ReadPage = (projectId: ProjectId, position: Position) => Promise<FramePage>

/**
 * Readers who stand at the same place read once, together: a frame costs its watchers one read, however many they are.
 * Whoever hears the project's bell calls `invalidate` first, so that nobody joins a read that began before the ring.
 */
export function coalesceReads(readPage: ReadPage) {
  const reading = new Map<ProjectId, Map<string, Promise<FramePage>>>()

  return {
    read(projectId: ProjectId, position: Position): Promise<FramePage> {
      const pages = reading.get(projectId) ?? new Map<string, Promise<FramePage>>()
      const { after, jobId, types, isBehind } = position
      const key = JSON.stringify([after, jobId, types, isBehind])
      const begun = pages.get(key)
      if (begun) return begun

      const page = readPage(projectId, position).finally(() => {
        pages.delete(key)
        if (pages.size === 0 && reading.get(projectId) === pages) reading.delete(projectId)
      })
      reading.set(projectId, pages.set(key, page))
      return page
    },
    invalidate: (projectId: ProjectId) => void reading.delete(projectId)
  }
}
