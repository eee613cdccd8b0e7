import { statfs } from 'node:fs/promises'
import type { Clock } from '#kernel/clock.ts'
import { LIMITS } from '#kernel/limits.ts'
import type { Log } from '#kernel/log.ts'
import type { AgentFailure } from '../agent-failure.ts'
import type { AgentLimits } from './agent-limits.ts'
import type { DiskMeter } from './disk-meter.ts'
import type { DiskUsage, WalkBounds } from './disk-walk.ts'
import { excessOnDisk, isNearQuota, quotaOfTurn } from './limits-policy.ts'

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
  /** Near the quota: as `check`, and always measured. Otherwise the project is measured meanwhile, for the next turn. */
  endTurn(): Promise<AgentFailure | undefined>
}

interface Measurement {
  readonly usage: DiskUsage
  readonly free: Free
  readonly atMs: number
  readonly tookMs: number
}

interface Free {
  readonly bytes: number
  readonly files: number
}

/** A pause is this many times as long as the walk before it: 5 % of a thread, or a third while the disk fills up. */
const PAUSE_FACTOR = 20
const HURRY_FACTOR = 2

/**
 * A walk over a large project takes a second, so it is repeated seldom. In between the free space of the file system is
 * read, which costs nothing: a project can exceed its quota only when the file system has lost what it had left. The next
 * walk is due early when half of that is gone, also when another project took it.
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
    const pausedMs = clock.monotonicMs() - atMs
    const pauseMs = Math.max(LIMITS.agentDiskWalkMs, tookMs * PAUSE_FACTOR)
    if (pausedMs >= Math.min(pauseMs, LIMITS.agentDiskWalkMsMax)) return true
    if (pausedMs < tookMs * HURRY_FACTOR) return false
    const now = await freeIn(folders)
    const lost = { bytes: free.bytes - now.bytes, files: free.files - now.files }
    return (
      lost.bytes > (quota.quotaBytes - usage.bytes) / 2 ||
      lost.files > (quota.quotaFiles - usage.files) / 2
    )
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
      measureLater()
      return undefined
    }
  }
}

async function freeIn(folders: readonly string[]): Promise<Free> {
  const all = await Promise.all(folders.map((folder) => statfs(folder)))
  return {
    bytes: all.reduce((total, { bfree, bsize }) => total + bfree * bsize, 0),
    files: all.reduce((total, { ffree }) => total + ffree, 0)
  }
}
