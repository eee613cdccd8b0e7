import type { Frame } from '#kernel/frames.ts'
import type { ProjectId } from '#kernel/ids.ts'

/** A follower that is further behind reads rows: the newest frames are only a shortcut. */
const FRAMES_MAX = 64
const BYTES_MAX = 256 * 1024

/** The newest committed frames of followed projects, so that followers in this process need not read them again. */
export interface RecentFrames {
  /** Keeps frames of this project until the result is disposed. */
  keep(projectId: ProjectId): Disposable
  /** Adds committed frames, in the order of their `seq`; `bytes` is their size. */
  add(projectId: ProjectId, frames: readonly Frame[], bytes: number): void
  /** The frames that follow `seq` without a gap; undefined when they have to be read. */
  after(projectId: ProjectId, seq: number): readonly Frame[] | undefined
}

interface Tail {
  keepers: number
  batches: { readonly frames: readonly Frame[]; readonly bytes: number }[]
}

/**
 * Other writers of a project may be in other processes, or may commit in another order than they add: a batch that does
 * not continue the last one replaces all that is kept, so what is kept never has a gap.
 */
export function createRecentFrames(): RecentFrames {
  const tails = new Map<ProjectId, Tail>()

  return {
    keep(projectId) {
      const tail = tails.get(projectId) ?? { keepers: 0, batches: [] }
      tails.set(projectId, tail)
      tail.keepers += 1
      return {
        [Symbol.dispose]() {
          tail.keepers -= 1
          if (tail.keepers === 0) tails.delete(projectId)
        }
      }
    },

    add(projectId, frames, bytes) {
      const tail = tails.get(projectId)
      if (!tail || frames.length === 0) return
      const last = tail.batches.at(-1)?.frames.at(-1)
      if (last && frames[0]!.seq !== last.seq + 1) tail.batches = []
      tail.batches.push({ frames, bytes })
      while (isTooLarge(tail.batches)) tail.batches.shift()
    },

    after(projectId, seq) {
      const frames = tails.get(projectId)?.batches.flatMap((batch) => batch.frames) ?? []
      const from = frames.findIndex((frame) => frame.seq === seq + 1)
      return from === -1 ? undefined : frames.slice(from)
    }
  }
}

function isTooLarge(batches: Tail['batches']): boolean {
  const frames = batches.reduce((sum, batch) => sum + batch.frames.length, 0)
  const bytes = batches.reduce((sum, batch) => sum + batch.bytes, 0)
  return batches.length > 0 && (frames > FRAMES_MAX || bytes > BYTES_MAX)
}
