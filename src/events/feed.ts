import { setImmediate as turn } from 'node:timers/promises'
import type { Db } from '#db'
import type { Frame } from '#kernel/frames.ts'
import type { ProjectId } from '#kernel/ids.ts'
import { LIMITS } from '#kernel/limits.ts'
import { historyOf, type Bus } from '#ports/bus.ts'
import { readBatchAfter, readFramesAfter, readReach, type PageOfFrames } from './event-store.ts'
import { shareLooks } from './shared-looks.ts'

/** How long a follower trusts the bell: a ring that was missed costs this much and no frame. */
const LOOK_ANYWAY_MS = 5000

export interface Feed {
  /** One page of history, oldest first. */
  page(projectId: ProjectId, page: PageOfFrames): Promise<Frame[]>
  /** The last `seq` of a project, and the oldest that its history still has. */
  reach(projectId: ProjectId): Promise<{ lastSeq: number; oldestSeq: number }>
  /**
   * Everything after a place, history first and then live, until the signal aborts. It ends earlier when
   * history was removed before it was read: whoever follows then is told, rather than shown a gap.
   */
  follow(
    projectId: ProjectId,
    page: Omit<PageOfFrames, 'limit'>,
    signal: AbortSignal
  ): AsyncGenerator<Frame>
}

/** History and live frames are one loop: read what is after the last one, and sleep until the bell. */
export function createFeed(db: Db, bus: Bus): Feed {
  const { look, forget } = shareLooks((projectId, place) =>
    readBatchAfter(db, projectId, {
      ...place,
      ...{ limit: LIMITS.framesPerPage, bytesMax: LIMITS.framesPageBytesMax }
    })
  )
  return {
    page: (projectId, page) => readFramesAfter(db, projectId, page),
    reach: (projectId) => readReach(db, projectId),

    async *follow(projectId, { after, ...filter }, signal) {
      const gaps =
        filter.types || filter.jobId ? await inReach(db, projectId, after) : inSequence(after)
      let heard = Promise.withResolvers<void>()
      const wake = () => heard.resolve()
      const stopListening = bus.listen(historyOf(projectId), () => {
        forget(projectId)
        wake()
      })
      const lookAnyway = setInterval(wake, LOOK_ANYWAY_MS)
      signal.addEventListener('abort', wake)
      try {
        let seq = after
        while (!signal.aborted) {
          heard = Promise.withResolvers<void>()
          const { frames, more } = await look(projectId, { ...filter, after: seq })
          if (await gaps.found(frames, more)) return
          for (const frame of frames) {
            if (signal.aborted) return
            yield frame
            seq = frame.seq
          }
          // The embedded database answers without leaving the microtasks: who reads much would hold up everybody else,
          // and not even notice that its own reader has gone.
          await (more ? turn() : heard.promise)
        }
      } finally {
        stopListening()
        clearInterval(lookAnyway)
        signal.removeEventListener('abort', wake)
      }
    }
  }
}

/** Finds out whether frames were removed between what has been read and the page that was just read. */
interface Gaps {
  found(frames: readonly Frame[], more: boolean): Promise<boolean>
}

/** Who reads everything counts. The last frame of a project is never removed, so a gap always shows. */
function inSequence(after: number): Gaps {
  let read = after
  return {
    async found(frames) {
      if (frames.length === 0) return false
      const gap = frames[0]!.seq !== read + 1
      read = frames.at(-1)!.seq
      return gap
    }
  }
}

/** Who reads a choice cannot count, and asks how far history reaches back. */
async function inReach(db: Db, projectId: ProjectId, after: number): Promise<Gaps> {
  let read = after
  /** What was there before a page was read. */
  let { lastSeq: known } = await readReach(db, projectId)
  return {
    async found(frames, more) {
      const { oldestSeq, lastSeq } = await readReach(db, projectId)
      const gap = oldestSeq > read + 1
      read = Math.max(read, frames.at(-1)?.seq ?? 0, more ? 0 : known)
      known = lastSeq
      return gap
    }
  }
}
