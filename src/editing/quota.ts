import type { Clock } from '#kernel/clock.ts'
import { AppError } from '#kernel/errors.ts'
import type { ProjectId } from '#kernel/ids.ts'
import { LIMITS } from '#kernel/limits.ts'
import type { Log } from '#kernel/log.ts'

interface Occupied {
  readonly bytes: number
  readonly files: number
}

export interface QuotaOptions {
  /** What a project takes on disk now. Takes a moment for a large one. */
  readonly measure: (projectId: ProjectId) => Promise<Occupied>
  readonly limits: { readonly quotaBytes: number; readonly quotaFiles: number }
  readonly clock: Pick<Clock, 'monotonicMs'>
  readonly log: Pick<Log, 'warn'>
}

/** What people may add to a project. What agents add is watched by the supervisor. */
export interface Quota {
  /** Throws `quota_exceeded` when a file of this size has no room in the project. */
  admit(projectId: ProjectId, bytes: number): Promise<void>
}

interface Known {
  readonly occupied: Promise<Occupied>
  readonly atMs: number
  /** What has been admitted since. */
  readonly added: { bytes: number; files: number }
}

/** Below this part of the quota a save does not wait for a newer measurement. */
const AMPLE = 0.5
/** A save is refused by a measurement that is not older than this: the user may just have deleted files. */
const REFUSAL_AGE_MS = 2000
const PROJECTS_KEPT_MAX = 10_000

/**
 * Measures a project at its first save, and again when the measurement is older than 30 s. In between, what was admitted is
 * added to it. A project that cannot be measured is not refused: the disk itself is the limit then.
 */
export function createQuota({ measure, limits, clock, log }: QuotaOptions): Quota {
  const { quotaBytes, quotaFiles } = limits
  const known = new Map<ProjectId, Known>()

  const measureNow = (projectId: ProjectId): Known => {
    const added = { bytes: 0, files: 0 }
    const fresh = { occupied: measure(projectId), atMs: clock.monotonicMs(), added }
    fresh.occupied.catch((err: unknown) => {
      log.warn({ err, projectId }, 'failed to measure a project')
      if (known.get(projectId) === fresh) known.delete(projectId)
    })
    known.delete(projectId)
    known.set(projectId, fresh)
    if (known.size > PROJECTS_KEPT_MAX) known.delete(known.keys().next().value!)
    return fresh
  }

  const isOlder = ({ atMs }: Known, ms: number) => clock.monotonicMs() - atMs > ms

  const fits = async ({ occupied, added }: Known, size: number, part = 1) => {
    const { bytes, files } = await occupied.catch(() => ({ bytes: 0, files: 0 }))
    return (
      bytes + added.bytes + size <= part * quotaBytes &&
      files + added.files + 1 <= part * quotaFiles
    )
  }

  return {
    async admit(projectId, size) {
      const last = known.get(projectId)
      let basis = last && !isOlder(last, LIMITS.quotaAgeMs) ? last : measureNow(projectId)
      let isAdmitted = await fits(last ?? basis, size, last ? AMPLE : 1)
      isAdmitted ||= await fits(basis, size)
      if (!isAdmitted && isOlder(basis, REFUSAL_AGE_MS)) {
        basis = measureNow(projectId)
        isAdmitted = await fits(basis, size)
      }
      if (isAdmitted) {
        basis.added.bytes += size
        basis.added.files += 1
        return
      }
      throw new AppError(
        'quota_exceeded',
        'The project has reached its limit of disk space or files: delete files first',
        { limitBytes: quotaBytes, limitFiles: quotaFiles }
      )
    }
  }
}
