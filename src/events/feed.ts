import type { Db } from '#db'
import type { Frame } from '#kernel/frames.ts'
import type { ProjectId } from '#kernel/ids.ts'
import { LIMITS } from '#kernel/limits.ts'
import { historyOf, type Bus } from '#ports/bus.ts'
import { readFramesAfter, readReach, type PageOfFrames } from './event-store.ts'

/** How long a follower trusts the bell: a ring that was missed costs this much and no frame. */
const LOOK_ANYWAY_MS = 5000

export interface Feed {
  /** One page of history, oldest first. */
  page(projectId: ProjectId, page: PageOfFrames): Promise<Frame[]>
  /** The last `seq` of a project, and the oldest that its history still has. */
  reach(projectId: ProjectId): Promise<{ lastSeq: number; oldestSeq: number }>
  /** Everything after a place, history first and then live, until the signal aborts. */
  follow(
    projectId: ProjectId,
    page: Omit<PageOfFrames, 'limit'>,
    signal: AbortSignal
  ): AsyncGenerator<Frame>
}

/** History and live frames are one loop: read what is after the last one, and sleep until the bell. */
export function createFeed(db: Db, bus: Bus): Feed {
  return {
    page: (projectId, page) => readFramesAfter(db, projectId, page),
    reach: (projectId) => readReach(db, projectId),

    async *follow(projectId, { after, ...filter }, signal) {
      let heard = Promise.withResolvers<void>()
      const wake = () => heard.resolve()
      const stopListening = bus.listen(historyOf(projectId), wake)
      const lookAnyway = setInterval(wake, LOOK_ANYWAY_MS)
      signal.addEventListener('abort', wake)

      try {
        let seq = after
        while (!signal.aborted) {
          heard = Promise.withResolvers<void>()
          const page = { ...filter, after: seq, limit: LIMITS.framesPerPage }
          const frames = await readFramesAfter(db, projectId, page)
          for (const frame of frames) {
            if (signal.aborted) return
            yield frame
            seq = frame.seq
          }
          if (frames.length < LIMITS.framesPerPage) await heard.promise
        }
      } finally {
        stopListening()
        clearInterval(lookAnyway)
        signal.removeEventListener('abort', wake)
      }
    }
  }
}
