import { readFileSync, rmSync, statSync } from 'node:fs'
import { hostname } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { clearStaleLock, takeLockFile } from '#kernel/lock-file.ts'
import { birthOf } from '#kernel/process-birth.ts'
import { createSerialQueue, type SerialQueue } from '#kernel/waiting.ts'
import { codeOf } from './files/safe-open.ts'

const POLL_MS = 4
const TIMEOUT_MS = 5 * 60_000
/** A holder on another machine cannot be asked whether it lives; single git operations are far shorter than this. */
const FOREIGN_STALE_MS = 15 * 60_000

/**
 * Runs one operation at a time, in the order of the calls. Within this process a serial queue does that; among
 * processes that share the folder (an `api` and a `worker`) a lock file does. The lock of a process that has died is
 * stale, and the next process takes it. Waiting for the lock times out after 5 minutes.
 */
export function createMutex(lockPath: string): SerialQueue {
  const serialQueue = createSerialQueue()
  return (work) =>
    serialQueue(async () => {
      using _lock = await takeLock(lockPath)
      return await work()
    })
}

async function takeLock(path: string): Promise<Disposable> {
  for (let waitedMs = 0; waitedMs < TIMEOUT_MS; waitedMs += POLL_MS) {
    if (tryLock(path)) return { [Symbol.dispose]: () => rmSync(path, { force: true }) }
    if (isStale(path)) clearStaleLock(path, isStale)
    await sleep(POLL_MS)
  }
  throw new Error('timed out after 5 minutes while waiting for the workspace lock')
}

function tryLock(path: string): boolean {
  try {
    return takeLockFile(path, OWNER)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
    throw new Error('the project has no workspace folder', { cause: error })
  }
}

function isStale(path: string): boolean {
  try {
    const owner = readFileSync(path, 'utf8')
    const ageMs = Date.now() - statSync(path).mtimeMs
    const [host, pid, born] = owner.split(' ')
    if (host !== hostname()) return ageMs > FOREIGN_STALE_MS
    return birthOf(Number(pid)) !== born
  } catch {
    return false
  }
}

const OWNER = `${hostname()} ${process.pid} ${birthOf(process.pid) ?? 'unknown'}`
