import { utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createLockFile } from '#kernel/machine/lock-file.ts'

/** A live owner touches its lock, so that processes of other hosts (or containers) see that it lives. */
const TOUCH_EVERY_MS = 5000
const STALE_AFTER_MS = 4 * TOUCH_EVERY_MS
const POLL_MS = 10

/**
 * One process owns a data folder: a second PGlite on the same files would lose rows without an error.
 * The lock of a dead process is taken over immediately, that of another host after 20 s without a touch.
 */
export async function lockDataDir(dataDir: string): Promise<AsyncDisposable> {
  const path = join(dataDir, 'lock')
  const lock = createLockFile(path, STALE_AFTER_MS)

  while (!lock.take()) {
    const holder = lock.holder()
    if (holder && !holder.isStale) {
      throw new Error(
        `DATA_DIR ${dataDir} is in use by process ${holder.pid}: stop it, or give another DATA_DIR`
      )
    }
    lock.clearIfStale()
    await sleep(POLL_MS)
  }

  const touch = () => void utimes(path, new Date(), new Date()).catch(() => {})
  const touching = setInterval(touch, TOUCH_EVERY_MS)
  touching.unref()
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(touching)
      lock.release()
    }
  }
}
