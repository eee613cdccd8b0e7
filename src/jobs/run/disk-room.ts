import { JobFailure } from '#kernel/job-failures.ts'
import { isDiskFull } from '#kernel/machine/disk-space.ts'
import type { WorkerDeps } from '../job-deps.ts'

/** The disk of the server, not the quota of a project: the job can be repeated once there is room. */
export const diskFull = (cause?: unknown) =>
  new JobFailure('disk_full', 'the disk of the server is full', { cause })

/**
 * Does the work, and again after each time that the disk has room again, when there was none for it. What a job has made
 * stays in its worktree meanwhile. Throws the last error when the signal aborts.
 */
export async function onceThereIsRoom<T>(
  { disk, log }: Pick<WorkerDeps, 'disk' | 'log'>,
  signal: AbortSignal,
  work: () => Promise<T>
): Promise<T> {
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (!isDiskFull(error) || signal.aborted) throw error
      log.warn({ err: error }, 'waiting for room on the disk')
      await disk.room(signal).catch(() => {
        throw error
      })
    }
  }
}
