import { JobFailure } from '#kernel/job-failures.ts'
import type { ProjectId } from '#kernel/ids.ts'
import { LIMITS } from '#kernel/limits.ts'
import type { Lease } from '#ports/lock.ts'
import type { JobDeps } from './job-deps.ts'
import { readActiveJobs, readWaitingProjects } from './stores/job-read-store.ts'
import { claimNextJob } from './stores/job-store.ts'
import { recoverProject } from './run/recover-jobs.ts'
import { finishRemovals } from './manage/remove-project.ts'
import { runJob } from './run/run-job.ts'

export interface Worker extends AsyncDisposable {
  /** From now on rings are answered. */
  start(): void
}

/**
 * Answers the doorbell: takes the project's lease, finishes what a dead worker left, and runs what is queued,
 * oldest first, until nothing is. A sweep rings for whatever waits without anybody at it, so a lost ring or a
 * crashed worker delays work and loses none. Disposing stops the running jobs as `interrupted`.
 */
export function createWorker(deps: JobDeps): Worker {
  const stopping = new AbortController()
  const working = new Set<Promise<void>>()

  const watch = (work: Promise<void>) => {
    working.add(work)
    return work.finally(() => working.delete(work))
  }
  const serve = (projectId: ProjectId) =>
    watch(
      answerRing(deps, projectId, stopping.signal).catch((err: unknown) =>
        deps.log.error({ err, projectId }, 'project could not be served')
      )
    )
  const clearAway = () =>
    watch(
      finishRemovals(deps, stopping.signal).catch((err: unknown) =>
        deps.log.warn({ err }, 'removed projects could not be looked for')
      )
    )
  const sweep = () =>
    void ringForForgotten(deps).catch((err: unknown) => deps.log.warn({ err }, 'sweep failed'))

  let sweeping: NodeJS.Timeout | undefined
  return {
    start() {
      deps.queue.serve(serve)
      sweep()
      void clearAway()
      sweeping = setInterval(sweep, LIMITS.sweepEveryMs)
    },

    async [Symbol.asyncDispose]() {
      clearInterval(sweeping)
      stopping.abort()
      await Promise.allSettled(working)
    }
  }
}

async function answerRing(
  deps: JobDeps,
  projectId: ProjectId,
  stopping: AbortSignal
): Promise<void> {
  await using lease = await deps.lock.acquire(projectId)
  if (!lease) return

  try {
    await recoverProject(deps, lease)
    await drain(deps, lease, stopping)
  } catch (error) {
    // Somebody else has the project now, and ends its job: that is not ours to do any more.
    if (error instanceof JobFailure && error.code === 'lease_lost') return
    throw error
  }
}

async function drain(deps: JobDeps, lease: Lease, stopping: AbortSignal): Promise<void> {
  while (!stopping.aborted && !lease.signal.aborted) {
    const job = await claimNextJob(deps.db, lease.projectId, lease.token)
    if (!job) return

    await runJob(deps, job, lease, stopping)
  }
}

/** Rings for projects with queued work and nobody at it, and for those whose worker may have died. */
async function ringForForgotten({ db, queue }: JobDeps): Promise<void> {
  const active = await readActiveJobs(db)
  const projects = [...(await readWaitingProjects(db)), ...active.map((job) => job.project_id)]
  for (const projectId of new Set(projects)) queue.ring(projectId)
}
