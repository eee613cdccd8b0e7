import { statfs } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { LIMITS } from '../limits.ts'
import type { Log } from '../log.ts'

/** Whether the disk has room for work. The space of one project is another matter: its quota. */
export interface DiskSpace {
  /** Less is free than the reserve that the end of running jobs needs. */
  isFull(): Promise<boolean>
  /** Calls back once when the disk is full; answers how to forget that. */
  onFull(listener: () => void): () => void
  /** Resolves when there may be room again: after a pause, and not while the disk is known to be full. */
  room(signal: AbortSignal): Promise<void>
}

export interface DiskSpaceOptions {
  /** A folder of each file system that is written to. */
  readonly folders: readonly string[]
  readonly log: Log
  readonly reserveBytes?: number
  readonly everyMs?: number
}

/** An answer of the file system is used for so long, so that requests do not ask it each. */
const AGE_MS = 250
const INODES_MIN = 1000

/** Watches the free space of the folders' file systems. */
export function watchDiskSpace(options: DiskSpaceOptions): DiskSpace & Disposable {
  const { folders, log, reserveBytes = LIMITS.diskReserveBytes } = options
  const { everyMs = LIMITS.diskWatchMs } = options
  const listeners = new Set<() => void>()
  let asked: { readonly atMs: number; readonly answer: Promise<boolean> } | undefined
  let wasFull = false

  const look = async () => {
    const full = await Promise.all(folders.map((folder) => isFull(folder, reserveBytes)))
    const isNow = full.includes(true)
    if (isNow !== wasFull) {
      if (isNow) log.error({ folders, reserveBytes }, 'disk is full')
      else log.info({ folders }, 'disk has room again')
    }
    wasFull = isNow
    if (isNow) for (const listener of [...listeners]) listener()
    return isNow
  }
  const ask = () => {
    const now = performance.now()
    if (asked === undefined || now - asked.atMs > AGE_MS) asked = { atMs: now, answer: look() }
    return asked.answer
  }
  const timer = setInterval(() => void ask(), everyMs)
  timer.unref()

  return {
    isFull: ask,
    onFull(listener) {
      const once = () => {
        listeners.delete(once)
        listener()
      }
      listeners.add(once)
      return () => void listeners.delete(once)
    },
    async room(signal) {
      do await sleep(everyMs, undefined, { signal })
      while (await ask())
    },
    [Symbol.dispose]: () => clearInterval(timer)
  }
}

/** A folder that cannot be examined does not count as full: a write to it reports what is wrong. */
async function isFull(folder: string, reserveBytes: number): Promise<boolean> {
  const space = await statfs(folder).catch(() => undefined)
  if (space === undefined) return false
  const hasNoInodes = space.files > 0 && space.ffree < INODES_MIN
  return space.bavail * space.bsize < reserveBytes || hasNoInodes
}

/** Of the kernel, and of PostgreSQL. */
const CODES = new Set(['ENOSPC', 'EDQUOT', '53100'])
/** The message of the C library, and the kernel's names of the error. */
const MESSAGES = /No space left on device|Disk quota exceeded|ENOSPC|EDQUOT/

/** Whether an error, or what caused it, is a disk without room. */
export function isDiskFull(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const { code } = error as { code?: unknown }
  if (typeof code === 'string' && CODES.has(code)) return true
  return MESSAGES.test(error.message) || isDiskFull(error.cause)
}
