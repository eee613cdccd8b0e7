import { randomUUID } from 'node:crypto'
import { linkSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { birthOf } from './process-birth.ts'

/** A process holds a claim for milliseconds: an older claim was left by a process that died while it held it. */
const CLAIM_STALE_MS = 10_000

export interface LockHolder {
  readonly pid: number
  /** The owner is dead, or on another host and has not touched the file for `otherHostStaleMs`. */
  readonly isStale: boolean
}

/**
 * A lock between processes that share a folder: a file that names its owner. It appears with its content or not at
 * all, so exactly one of several concurrent processes takes it.
 */
export interface LockFile {
  /** False when another process holds it. Throws ENOENT when the folder does not exist. */
  take(): boolean
  /** Undefined when the lock is free. */
  holder(): LockHolder | undefined
  /** Any process may clear a stale lock; a lock that is not stale stays. */
  clearIfStale(nowMs?: number): void
  release(): void
}

/**
 * `otherHostStaleMs`: a process of another host (or container) cannot be looked up, so its lock counts as stale when
 * the file's modification time is that old. A process of this host is looked up by its pid and start time.
 */
export function createLockFile(path: string, otherHostStaleMs: number): LockFile {
  const holderIn = (file: string) => readHolder(file, otherHostStaleMs)

  return {
    take: () => createWhole(path, OWN),
    holder: () => holderIn(path),

    clearIfStale(nowMs = Date.now()) {
      // Of several processes that find the lock stale, one claims the file by a second name and judges just that
      // file again. Without the claim, a slower process would remove the lock of the next owner.
      const claim = `${path}.stale`
      try {
        linkSync(path, claim)
      } catch {
        // The lock is gone, or another process holds the claim.
        const since = statSync(claim, { throwIfNoEntry: false })?.ctimeMs ?? Infinity
        if (nowMs - since > CLAIM_STALE_MS) rmSync(claim, { force: true })
        return
      }
      try {
        if (holderIn(claim)?.isStale) rmSync(path, { force: true })
      } finally {
        rmSync(claim, { force: true })
      }
    },

    release: () => rmSync(path, { force: true })
  }
}

/** The owner text of this process: host, pid, start time. */
const OWN = `${hostname()} ${process.pid} ${birthOf(process.pid) ?? 'unknown'}`

function readHolder(file: string, otherHostStaleMs: number): LockHolder | undefined {
  try {
    const [host, pid = '', birth] = readFileSync(file, 'utf8').split(' ')
    const isStale =
      host === hostname()
        ? birthOf(Number(pid)) !== birth
        : Date.now() - statSync(file).mtimeMs >= otherHostStaleMs
    return { pid: Number(pid), isStale }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Creates the file with its content in one step; false when it exists. */
function createWhole(path: string, content: string): boolean {
  const draft = `${path}.${randomUUID()}`
  writeFileSync(draft, content, { mode: 0o600 })
  try {
    linkSync(draft, path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  } finally {
    rmSync(draft, { force: true })
  }
}
