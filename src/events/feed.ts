import { setImmediate as yieldToEventLoop } from 'node:timers/promises'
import type { Db } from '#db'
import type { Frame } from '#kernel/frames.ts'
import type { ProjectId } from '#kernel/ids.ts'
import { LIMITS } from '#kernel/limits.ts'
import { historyOf, type Bus } from '#ports/bus.ts'
import { readBatchAfter, readFramesAfter, readReach, type FrameQuery } from './event-store.ts'
import { coalesceReads, type ReadPage } from './coalesced-reads.ts'

/** How long a follower trusts the bell: a ring that was missed costs this much and no frame. */
const LOOK_ANYWAY_MS = 5000

const PAGE = { limit: LIMITS.framesPerPage, bytesMax: LIMITS.framesPageBytesMax }

export interface Feed {
  /** One page of history, oldest first. */
  page(projectId: ProjectId, page: FrameQuery): Promise<Frame[]>
  /** The last `seq` of a project, and the oldest that its history still has. */
  reach(projectId: ProjectId): Promise<{ lastSeq: number; oldestSeq: number }>
  /**
   * Everything after a place, history first and then live, until the signal aborts. It ends earlier when
   * history was removed before it was read: whoever follows then is told, rather than shown a gap.
   */
  follow(
    projectId: ProjectId,
    page: Omit<FrameQuery, 'limit'>,
    signal: AbortSignal
  ): AsyncGenerator<Frame>
}

/** History and live frames are one loop: read what is after the last one, and sleep until the bell. */
export function createFeed(db: Db, bus: Bus): Feed {
  const readPage: ReadPage = async (projectId, { isBehind, ...place }) => {
    if (isBehind) return readBatchAfter(db, projectId, { ...place, ...PAGE })
    // Live, and not worth weighing: a plain read takes the database a third of the time.
    const frames = await readFramesAfter(db, projectId, { ...place, limit: LIMITS.framesPerLook })
    return { frames, more: frames.length === LIMITS.framesPerLook }
  }
  const coalesced = coalesceReads(readPage)
  return {
    page: (projectId, page) => readFramesAfter(db, projectId, page),
    reach: (projectId) => readReach(db, projectId),

    async *follow(projectId, { after, ...filter }, signal) {
      const isFiltered = filter.types !== undefined || filter.jobId !== undefined
      const reading = isFiltered ? await readingFiltered(db, projectId, after) : readingAll(after)
      // Who cannot count must not join a read that began before the reach was looked up.
      const read = isFiltered ? readPage : coalesced.read
      let heard = Promise.withResolvers<void>()
      const wake = () => heard.resolve()
      const stopListening = bus.listen(historyOf(projectId), () => {
        coalesced.invalidate(projectId)
        wake()
      })
      const lookAnyway = setInterval(wake, LOOK_ANYWAY_MS)
      signal.addEventListener('abort', wake)
      let isBehind = true
      try {
        while (!signal.aborted) {
          heard = Promise.withResolvers<void>()
          const place = { ...filter, after: reading.upTo, isBehind }
          const { frames, more } = await read(projectId, place)
          isBehind = more
          if ((await reading.advance(frames, more)) === 'gap') return
          for (const frame of frames) {
            if (signal.aborted) return
            yield frame
          }
          // The embedded database answers without leaving the microtasks: who reads much would hold up everybody else,
          // and not even notice that its own reader has gone.
          await (more ? yieldToEventLoop() : heard.promise)
        }
      } finally {
        stopListening()
        clearInterval(lookAnyway)
        signal.removeEventListener('abort', wake)
      }
    }
  }
}

/** How far history has been read, and whether some of it was removed before it could be. */
interface Reading {
  /** Everything up to here has been read. */
  readonly upTo: number
  /** Moves `upTo` past the page that was read after it; `gap`: frames in between were removed. */
  advance(page: readonly Frame[], more: boolean): Promise<'read' | 'gap'>
}

/** Who reads everything counts. The last frame of a project is never removed, so a gap always shows. */
function readingAll(after: number): Reading {
  const reading = {
    upTo: after,
    async advance(page: readonly Frame[]) {
      const hasGap = page.length > 0 && page[0]!.seq !== reading.upTo + 1
      reading.upTo = page.at(-1)?.seq ?? reading.upTo
      return hasGap ? ('gap' as const) : ('read' as const)
    }
  }
  return reading
}

/** Who reads a choice cannot count, and asks how far history reaches back. */
async function readingFiltered(db: Db, projectId: ProjectId, after: number): Promise<Reading> {
  /** What was there before a page was read: if it was not full, it has all that is chosen up to here. */
  let { lastSeq: known } = await readReach(db, projectId)
  const reading = {
    upTo: after,
    async advance(page: readonly Frame[], more: boolean) {
      const { oldestSeq, lastSeq } = await readReach(db, projectId)
      const hasGap = oldestSeq > reading.upTo + 1
      reading.upTo = Math.max(reading.upTo, page.at(-1)?.seq ?? 0, more ? 0 : known)
      known = lastSeq
      return hasGap ? ('gap' as const) : ('read' as const)
    }
  }
  return reading
}
