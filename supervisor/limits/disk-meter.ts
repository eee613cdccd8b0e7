import { createWorkerThread } from '#kernel/machine/worker-thread.ts'
import type { DiskUsage, WalkBounds } from './disk-walk.ts'
import type { FromWalker, ToWalker } from './disk-worker.ts'

/** Measures what folders occupy on disk. */
export interface DiskMeter extends AsyncDisposable {
  /** Ends early beyond the bounds. Rejects when the folders cannot be walked. */
  measure(folders: readonly string[], bounds?: WalkBounds): Promise<DiskUsage>
}

const WALKER = new URL('./disk-worker.ts', import.meta.url)
/** A walk without other bounds still ends. */
const BOUNDS: WalkBounds = { bytesMax: Infinity, filesMax: 5_000_000 }

/** Walks folders in a worker thread: 100,000 files would block the event loop for half a second. */
export function createDiskMeter(): DiskMeter {
  const walker = createWorkerThread<ToWalker, FromWalker>(WALKER, 'disk walker')

  return {
    async measure(folders, bounds = BOUNDS) {
      const answer = await walker.ask({ folders, bounds })
      if ('error' in answer) throw new Error(answer.error)
      return answer.usage
    },
    [Symbol.asyncDispose]: () => walker[Symbol.asyncDispose]()
  }
}
