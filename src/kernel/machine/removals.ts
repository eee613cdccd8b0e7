import { randomUUID } from 'node:crypto'
import { readdir, rename } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { Clock } from '../clock.ts'
import type { Log } from '../log.ts'
import { removeTree } from './remove-tree.ts'

const ASIDE = '.removed-'
const EVERY_MS = 60 * 60_000
const LOG_EVERY_MS = 24 * 60 * 60_000

/**
 * Removes a folder: it leaves its name first, so that the name is free from then on, also when a crash or an error
 * interrupts the rest. What is left is removed by a sweep. Rejects only when the folder cannot leave its name.
 */
export async function removeFolder(path: string, log: Pick<Log, 'warn'>): Promise<void> {
  const aside = join(dirname(path), `${ASIDE}${randomUUID()}`)
  try {
    await rename(path, aside)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  const { left, error } = await removeTree(aside)
  if (left > 0) log.warn({ err: error, folder: basename(path), left }, 'folder not removed wholly')
}

export interface Removals extends AsyncDisposable {
  /** Sweeps now, and then by the hour. */
  start(): void
  /** Removes the folders that were set aside; returns how many could not be removed. */
  sweep(): Promise<number>
  /** How many folders the last sweep could not remove. */
  readonly left: number
}

/** Sweeps the folders that `removeFolder` has set aside in these places. What stays is logged once a day. */
export function createRemovals(
  places: readonly string[],
  { clock, log }: { readonly clock: Clock; readonly log: Pick<Log, 'warn'> }
): Removals {
  const stopping = new AbortController()
  let left = 0
  let loggedAtMs = -Infinity
  let timer: NodeJS.Timeout | undefined
  let sweeping: Promise<number> | undefined

  const sweepAll = async (): Promise<number> => {
    const remaining: { folder: string; left: number; err: Error | undefined }[] = []
    for (const place of places) {
      for (const name of await namesIn(place)) {
        if (stopping.signal.aborted) return left
        const folder = join(place, name)
        const result = await removeTree(folder)
        if (result.left > 0) remaining.push({ folder, left: result.left, err: result.error })
      }
    }
    left = remaining.length
    if (left > 0 && clock.monotonicMs() - loggedAtMs >= LOG_EVERY_MS) {
      loggedAtMs = clock.monotonicMs()
      log.warn({ folders: left, first: remaining[0] }, 'removed folders are still there')
    }
    return left
  }
  const sweep = () => (sweeping ??= sweepAll().finally(() => (sweeping = undefined)))

  return {
    sweep,
    start() {
      const begin = () =>
        void sweep().catch((err: unknown) => log.warn({ err }, 'failed to sweep removed folders'))
      begin()
      timer = setInterval(begin, EVERY_MS)
    },
    get left() {
      return left
    },
    async [Symbol.asyncDispose]() {
      clearInterval(timer)
      stopping.abort()
      await sweeping?.catch(() => {})
    }
  }
}

async function namesIn(place: string): Promise<string[]> {
  const names = await readdir(place).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  return names.filter((name) => name.startsWith(ASIDE))
}
