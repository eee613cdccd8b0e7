import type { Clock } from '#kernel/clock.ts'
import { LIMITS } from '#kernel/limits.ts'
import type { Log } from '#kernel/log.ts'
import type { AgentFailure } from '../agent-failure.ts'
import type { SupervisorMetric } from '../options.ts'
import { measure, measureRoughly } from '../process/measure.ts'
import type { Room, RoomStats } from '../room/room.ts'
import { createDiskWatch, type DiskWatchOptions } from './disk-watch.ts'
import { excessOf } from './limits-policy.ts'
import { pollUntil } from './poll.ts'

export interface UsageWatchOptions extends DiskWatchOptions {
  readonly room: Pick<Room, 'processes' | 'stats'>
  readonly clock: Clock
  readonly log: Log
  readonly onMetric: (metric: SupervisorMetric) => void
  /** A turn has exceeded a limit: ends the room. */
  readonly onExcess: (failure: AgentFailure) => Promise<void>
}

/** Compares what one room uses with its limits, by the server's own measurements. */
export interface UsageWatch {
  /** Polls while a turn runs, until it is disposed of. */
  watchTurn(): Disposable
  /** After a turn, when its processes are ended. Never rejects; resolves with the reason for which its work must not count as done. */
  endTurn(): Promise<AgentFailure | undefined>
  /** At the end of its last turn it was above the soft limit of memory. */
  readonly hasOutgrown: boolean
  /** Measured now, or at most some seconds ago. */
  stats(): Promise<RoomStats>
}

/**
 * Memory and processes are polled several times a second by what costs least (the number of processes, then their resident
 * memory), and measured exactly only above that. Each poll waits for a multiple of what the previous one took, so that a
 * watch takes a bounded part of one core.
 */
export function createUsageWatch(options: UsageWatchOptions): UsageWatch {
  const { room, limits, clock, log } = options
  const disk = createDiskWatch(options)
  let hasOutgrown = false
  let isEnded = false
  let measured: { readonly stats: Promise<RoomStats>; readonly atMs: number } | undefined

  const checkRoom = async () => {
    const pids = await room.processes()
    // Of a fork bomb not even the memory is read.
    const tooMany = excessOf({ tasks: pids.length, memoryBytes: 0 }, limits)
    if (tooMany) return tooMany
    const { tasks, residentBytes } = measureRoughly(pids)
    const isLarge = residentBytes > limits.memoryMaxBytes
    const memoryBytes = isLarge ? (await measure(pids)).memoryBytes : residentBytes
    return excessOf({ tasks, memoryBytes }, limits)
  }

  const end = async (failure: AgentFailure) => {
    if (isEnded) return
    isEnded = true
    log.warn({ limit: failure.reason, reason: failure.message }, 'agent exceeded a limit')
    options.onMetric({ kind: 'limit-exceeded', limit: failure.reason })
    await options
      .onExcess(failure)
      .catch((err: unknown) => log.error({ err }, 'failed to end a room'))
  }

  const outgrows = async () => {
    const pids = await room.processes()
    const { residentBytes } = measureRoughly(pids)
    if (residentBytes <= limits.memorySoftBytes) return false
    return (await measure(pids)).memoryBytes > limits.memorySoftBytes
  }

  return {
    watchTurn() {
      disk.beginTurn()
      const over = new AbortController()
      const poll = {
        clock,
        log,
        signal: over.signal,
        onFound: (failure: AgentFailure) => void end(failure)
      }
      const everyMs = LIMITS.agentUsagePollMs
      void pollUntil(checkRoom, { ...poll, everyMs, maxMs: LIMITS.agentUsagePollMsMax })
      void pollUntil(disk.check, { ...poll, everyMs, maxMs: everyMs })
      return { [Symbol.dispose]: () => over.abort() }
    },

    async endTurn() {
      if (isEnded) return undefined
      try {
        hasOutgrown = await outgrows()
        const excess = await disk.endTurn()
        if (excess) await end(excess)
        return excess
      } catch (err) {
        log.error({ err }, 'failed to measure an agent after its turn')
        return undefined
      }
    },

    get hasOutgrown() {
      return hasOutgrown
    },

    stats() {
      const nowMs = clock.monotonicMs()
      if (!measured || nowMs - measured.atMs > LIMITS.agentMemoryAgeMs) {
        measured = { stats: room.stats(), atMs: nowMs }
      }
      return measured.stats
    }
  }
}
