import type { Frame } from '#kernel/frames.ts'
import type { ProjectId } from '#kernel/ids.ts'
import type { FrameQuery } from './event-store.ts'

/** A reader's cursor and filter, and whether a large page is expected. */
interface Position extends Omit<FrameQuery, 'limit'> {
  readonly isBehind: boolean
}

export interface FramePage {
  readonly frames: readonly Frame[]
  /** The page was full: there may be more frames. */
  readonly more: boolean
}

export type ReadPage = (projectId: ProjectId, position: Position) => Promise<FramePage>

/**
 * Concurrent readers with the same cursor share one read, so the number of reads does not depend on the number of
 * followers. A follower calls `invalidate` when the bell rings, so that no reader joins a read that began before it.
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
