import { statfs } from 'node:fs/promises'
import type { Clock } from '#kernel/clock.ts'
import type { Log } from '#kernel/log.ts'
import type { AgentFailure } from '../agent-failure.ts'
import type { AgentLimits } from '#kernel/limits.ts'
import type { DiskMeter } from './disk-meter.ts'
import type { DiskUsage, WalkBounds } from './disk-walk.ts'
import { excessOnDisk, isNearQuota, quotaOfTurn } from './limits-policy.ts'
import { decideWalk, type Space } from './walk-policy.ts'

export interface DiskWatchOptions {
  /** The project's folders, of which the quota is measured. */
  readonly folders: readonly string[]
  readonly disk: Pick<DiskMeter, 'measure'>
  readonly limits: AgentLimits
  readonly clock: Pick<Clock, 'monotonicMs'>
  readonly log: Pick<Log, 'warn'>
}

/** Compares what a project takes on disk with its quota. */
export interface DiskWatch {
  beginTurn(): void
  /** Measures, when that is due. Resolves with the reason for which the turn must be ended. */
  check(): Promise<AgentFailure | undefined>
  /** Near the quota: as `check`, and always measured. Otherwise, when a measurement is due, it is for the next turn. */
  endTurn(): Promise<AgentFailure | undefined>
}

interface Measurement {
  readonly usage: DiskUsage
  readonly free: Space
  readonly atMs: number
  readonly tookMs: number
}

/**
 * Walks the project's folders when `walk-policy.ts` says so. In between it reads only the free space of their file systems,
 * which costs nothing.
 */
export function createDiskWatch(options: DiskWatchOptions): DiskWatch {
  const { folders, limits, clock, log } = options
  let last: Measurement | undefined
  let quota = quotaOfTurn(limits, undefined)

  const measure = async (bounds?: WalkBounds) => {
    const sinceMs = clock.monotonicMs()
    const [usage, free] = await Promise.all([
      options.disk.measure(folders, bounds),
      freeIn(folders)
    ])
    const atMs = clock.monotonicMs()
    last = { usage, free, atMs, tookMs: atMs - sinceMs }
    return usage
  }
  const measureLater = () =>
    void measure().catch((err: unknown) => log.warn({ err }, 'failed to measure a project'))

  const isDue = async () => {
    if (!last) return true
    const { usage, free, atMs, tookMs } = last
    const now = await freeIn(folders)
    return decideWalk({
      tookMs,
      pausedMs: clock.monotonicMs() - atMs,
      left: { bytes: quota.quotaBytes - usage.bytes, files: quota.quotaFiles - usage.files },
      lost: { bytes: free.bytes - now.bytes, files: free.files - now.files },
      countsNoFiles: free.files === 0
    })
  }

  const compare = async () => {
    const bounds = { bytesMax: quota.quotaBytes, filesMax: quota.quotaFiles }
    return excessOnDisk(await measure(bounds), quota)
  }

  // What the project takes before its first turn, which begins later than this.
  measureLater()

  return {
    beginTurn() {
      quota = quotaOfTurn(limits, last?.usage)
    },
    check: async () => ((await isDue()) ? compare() : undefined),
    async endTurn() {
      if (!last || isNearQuota(last.usage, limits)) return compare()
      if (await isDue()) measureLater()
      return undefined
    }
  }
}

async function freeIn(folders: readonly string[]): Promise<Space> {
  const all = await Promise.all(folders.map((folder) => statfs(folder)))
  return {
    bytes: all.reduce((total, { bfree, bsize }) => total + bfree * bsize, 0),
    files: all.reduce((total, { ffree }) => total + ffree, 0)
  }
}
