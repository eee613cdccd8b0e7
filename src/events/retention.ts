import type { Db } from '#db'
import type { Clock } from '#kernel/clock.ts'
import type { ProjectId } from '#kernel/ids.ts'
import { LIMITS } from '#kernel/limits.ts'
import type { Log } from '#kernel/log.ts'
import { deleteOldFrames, readProjectsWithOldFrames } from './retention-store.ts'

export interface RetentionDeps {
  readonly db: Db
  readonly clock: Clock
  readonly log: Log
  /** Frames older than this are removed. Undefined: none are. */
  readonly keepMs: number | undefined
  readonly onRemoved?: (frames: number) => void
}

export interface Retention extends AsyncDisposable {
  /** Sweeps immediately, and then every `retentionEveryMs`. */
  start(): void
  /** Removes old frames and returns their number. */
  sweep(signal?: AbortSignal): Promise<number>
}

/**
 * Removes old frames: whole jobs, oldest first, in small batches with a pause after each, so that other queries are not
 * delayed for long. A `seq` is never reused. Concurrent sweeps are safe: one of them stops.
 */
export function createRetention(deps: RetentionDeps): Retention {
  const { log, keepMs } = deps
  const stopping = new AbortController()
  let sweeping: Promise<unknown> | undefined
  let timer: NodeJS.Timeout | undefined

  const sweep = (signal = stopping.signal) =>
    keepMs === undefined ? Promise.resolve(0) : removeOldFrames(deps, keepMs, signal)
  const begin = () => {
    sweeping ??= sweep()
      .catch((err: unknown) => {
        if (!stopping.signal.aborted) log.warn({ err }, 'failed to remove old history')
      })
      .finally(() => (sweeping = undefined))
  }

  return {
    sweep,
    start() {
      if (keepMs === undefined) return
      begin()
      timer = setInterval(begin, LIMITS.retentionEveryMs)
    },
    async [Symbol.asyncDispose]() {
      clearInterval(timer)
      stopping.abort()
      await sweeping
    }
  }
}

async function removeOldFrames(
  deps: RetentionDeps,
  keepMs: number,
  signal: AbortSignal
): Promise<number> {
  const { db, clock, log, onRemoved } = deps
  const startedMs = clock.monotonicMs()
  const before = new Date(clock.now().getTime() - keepMs)
  let frames = 0
  let projects = 0

  try {
    for await (const projectId of projectsWithOldFrames(db, before, signal)) {
      const removed = await removeFromProject(deps, projectId, before, signal)
      if (removed === undefined) break
      if (removed === 0) continue
      frames += removed
      projects += 1
    }
  } finally {
    if (frames > 0) {
      onRemoved?.(frames)
      const durationMs = Math.round(clock.monotonicMs() - startedMs)
      log.info({ frames, projects, before, durationMs }, 'old history removed')
    }
  }
  return frames
}

async function* projectsWithOldFrames(db: Db, before: Date, signal: AbortSignal) {
  let after = ''
  while (!signal.aborted) {
    const limit = LIMITS.retentionBatchProjects
    const { old, last } = await readProjectsWithOldFrames(db, { before, after, limit })
    yield* old
    if (last === undefined) return
    after = last
  }
}

/** Undefined: another process is removing frames, of all projects. */
async function removeFromProject(
  { db, clock }: RetentionDeps,
  projectId: ProjectId,
  before: Date,
  signal: AbortSignal
): Promise<number | undefined> {
  const limit = LIMITS.retentionBatchFrames
  let removed = 0
  while (!signal.aborted) {
    const startedMs = clock.monotonicMs()
    const batch = await deleteOldFrames(db, projectId, { before, limit })
    if (batch === undefined) return removed || undefined
    removed += batch
    if (batch < limit) break
    // A pause as long as the batch took, for the queries of others.
    await clock.sleep(clock.monotonicMs() - startedMs, signal).catch(() => {})
  }
  return removed
}
