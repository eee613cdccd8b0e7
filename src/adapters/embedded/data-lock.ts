import { readFileSync, statSync } from 'node:fs'
import { rm, utimes } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { clearStaleLock, takeLockFile } from '#kernel/lock-file.ts'
import { birthOf } from '#kernel/process-birth.ts'

/** On another machine (or in another container) a process cannot be looked at; a live owner touches its lock. */
const TOUCH_EVERY_MS = 5000
const STALE_AFTER_MS = 4 * TOUCH_EVERY_MS
const POLL_MS = 10

/**
 * One process owns a data folder: a second PGlite on the same files would lose rows without an error.
 * A lock that a dead process left behind is taken over at once, one of another machine after 20 s of silence.
 */
export async function lockDataDir(dataDir: string): Promise<AsyncDisposable> {
  const path = join(dataDir, 'lock')
  const owner = `${process.pid} ${birthOf(process.pid) ?? '-'} ${hostname()}`

  while (!takeLockFile(path, owner)) {
    const holder = holderOf(path)
    if (holder !== undefined && !isStale(path)) {
      throw new Error(`DATA_DIR ${dataDir} is in use by process ${holder.split(' ')[0]}`)
    }
    clearStaleLock(path, isStale)
    await sleep(POLL_MS)
  }

  const touch = () => void utimes(path, new Date(), new Date()).catch(() => {})
  const touching = setInterval(touch, TOUCH_EVERY_MS)
  touching.unref()
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(touching)
      await rm(path, { force: true })
    }
  }
}

function isStale(path: string): boolean {
  const [pid, birth, host] = holderOf(path)?.split(' ') ?? []
  if (host === hostname()) return birthOf(Number(pid)) !== birth
  const touchedMs = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0
  return Date.now() - touchedMs >= STALE_AFTER_MS
}

/** What its owner wrote there; undefined when it is gone. */
function holderOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
