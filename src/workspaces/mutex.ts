import { setTimeout as sleep } from 'node:timers/promises'
import { createLockFile, type LockFile } from '#kernel/machine/lock-file.ts'
import { createSerialQueue, type SerialQueue } from '#kernel/waiting.ts'
import { codeOf } from './files/safe-open.ts'

const POLL_MS = 4
const TIMEOUT_MS = 5 * 60_000
/** Longer than any single git operation takes. */
const OTHER_HOST_STALE_MS = 15 * 60_000

/**
 * Serialises work on one workspace, in the order of the calls: within this process by a serial queue, between
 * processes that share the folder (an `api` and a `worker`) by a lock file, which a dead process does not keep.
 */
export function createMutex(lockPath: string): SerialQueue {
  const serialQueue = createSerialQueue()
  const lock = createLockFile(lockPath, OTHER_HOST_STALE_MS)
  return (work) =>
    serialQueue(async () => {
      using _lock = await take(lock)
      return await work()
    })
}

async function take(lock: LockFile): Promise<Disposable> {
  for (let waitedMs = 0; waitedMs < TIMEOUT_MS; waitedMs += POLL_MS) {
    if (tryTake(lock)) return { [Symbol.dispose]: () => lock.release() }
    if (lock.holder()?.isStale) lock.clearIfStale()
    await sleep(POLL_MS)
  }
  throw new Error('timed out after 5 minutes while waiting for the workspace lock')
}

function tryTake(lock: LockFile): boolean {
  try {
    return lock.take()
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
    throw new Error('the project has no workspace folder', { cause: error })
  }
}
