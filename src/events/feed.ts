import { setImmediate as yieldToEventLoop } from 'node:timers/promises'
import type { Db } from '#db'
import type { Frame } from '#kernel/frames.ts'
import type { ProjectId } from '#kernel/ids.ts'
import { LIMITS } from '#kernel/limits.ts'
import { historyOf, type Bus } from '#ports/bus.ts'
import {
  readBatchAfter,
  readFramesAfter,
  readLastSeq,
  readReach,
  type FrameQuery
} from './event-store.ts'
import { coalesceReads, type ReadPage } from './coalesced-reads.ts'
import { createRecentFrames, type RecentFrames } from './recent-frames.ts'

/** Followers poll at this interval, so a lost ring delays frames by at most this time. */
const POLL_EVERY_MS = 5000

const PAGE = { limit: LIMITS.framesPerPage, bytesMax: LIMITS.framesPageBytesMax }

export interface Feed {
  /** One page of history, oldest first. */
  page(projectId: ProjectId, page: FrameQuery): Promise<Frame[]>
  lastSeq(projectId: ProjectId): Promise<number>
  /** The last `seq` of a project, and the oldest `seq` that its history still contains. */
  reach(projectId: ProjectId): Promise<{ lastSeq: number; oldestSeq: number }>
  /**
   * All frames after a cursor, history first and then live, until the signal aborts. It returns early when frames were
   * removed before they were read, so that the caller can report the gap.
   */
  follow(
    projectId: ProjectId,
    page: Omit<FrameQuery, 'limit'>,
    signal: AbortSignal
  ): AsyncGenerator<Frame>
}

/**
 * History and live frames are read by one loop: read after the cursor, then wait for the bell. Frames that this process has
 * just appended are taken from `recent` instead.
 */
export function createFeed(
  db: Db,
  bus: Bus,
  recent: Pick<RecentFrames, 'keep' | 'after'> = createRecentFrames()
): Feed {
  const readPage: ReadPage = async (projectId, { isBehind, ...query }) => {
    if (isBehind) return readBatchAfter(db, projectId, { ...query, ...PAGE })
    // Live pages are small: a read without the byte limit takes a third of the time.
    const frames = await readFramesAfter(db, projectId, { ...query, limit: LIMITS.framesPerLook })
    return { frames, more: frames.length === LIMITS.framesPerLook }
  }
  const coalesced = coalesceReads(readPage)
  return {
    page: (projectId, page) => readFramesAfter(db, projectId, page),
    lastSeq: (projectId) => readLastSeq(db, projectId),
    reach: (projectId) => readReach(db, projectId),

    async *follow(projectId, { after, ...filter }, signal) {
      const isFiltered = filter.types !== undefined || filter.jobId !== undefined
      const reading = isFiltered ? await readingFiltered(db, projectId, after) : readingAll(after)
      // A filtered reader detects gaps by the reach, so it must not join a read that began before the reach was read.
      const readRows = isFiltered ? readPage : coalesced.read
      const read: ReadPage = async (id, position) => {
        const frames = isFiltered ? undefined : recent.after(id, position.after)
        return frames ? { frames, more: false } : readRows(id, position)
      }
      using _kept = recent.keep(projectId)
      let rung = Promise.withResolvers<void>()
      const wake = () => rung.resolve()
      const stopListening = bus.listen(historyOf(projectId), () => {
        coalesced.invalidate(projectId)
        wake()
      })
      const polling = setInterval(wake, POLL_EVERY_MS)
      signal.addEventListener('abort', wake)
      let isBehind = true
      try {
        while (!signal.aborted) {
          rung = Promise.withResolvers<void>()
          const position = { ...filter, after: reading.upTo, isBehind }
          const { frames, more } = await read(projectId, position)
          isBehind = more
          if ((await reading.advance(frames, more)) === 'gap') return
          for (const frame of frames) {
            if (signal.aborted) return
            yield frame
          }
          // The embedded database answers within microtasks: without yielding, a long read would block the event loop,
          // and would not see that its own client has disconnected.
          await (more ? yieldToEventLoop() : rung.promise)
        }
      } finally {
        stopListening()
        clearInterval(polling)
        signal.removeEventListener('abort', wake)
      }
    }
  }
}

/** The cursor of a reader, and the detection of removed frames. */
interface Reading {
  /** The last `seq` that was read. */
  readonly upTo: number
  /** Moves `upTo` to the end of the page; `gap`: frames before the page were removed. */
  advance(page: readonly Frame[], more: boolean): Promise<'read' | 'gap'>
}

/** Without a filter a gap shows in the numbers. The last frame of a project is never removed, so no gap is missed. */
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

/** With a filter the numbers are not consecutive, so a gap is detected by the oldest `seq` of the history. */
async function readingFiltered(db: Db, projectId: ProjectId, after: number): Promise<Reading> {
  /** The last `seq` before a page was read: a page that is not full contains all matching frames up to it. */
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
