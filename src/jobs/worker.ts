import { JobFailure } from '#kernel/job-failures.ts'
import type { ProjectId } from '#kernel/ids.ts'
import { LIMITS } from '#kernel/limits.ts'
import type { Lease } from '#ports/lock.ts'
import type { WorkerDeps } from './job-deps.ts'
import { readActiveJobs, readWaitingProjects } from './stores/job-read-store.ts'
import { claimNextJob } from './stores/job-store.ts'
import { recoverProject } from './run/recover-jobs.ts'
import { recoverReviews } from './manage/carry-out-review.ts'
import { finishRemovals } from './manage/remove-project.ts'
import { repairAll } from './manage/repair-project.ts'
import { runJob } from './run/run-job.ts'

export interface Worker extends AsyncDisposable {
  /** From now on the worker serves the queue; before that it finishes what a crash interrupted. */
  start(): void
}

/**
 * Serves the queue: takes a project's lease, finishes the job that a dead worker left, and runs queued jobs, oldest
 * first, until there is none. A sweep rings for projects with queued jobs and no worker, so that a lost ring or a crashed
 * worker delays work and loses none. Disposing it stops the running jobs as `interrupted`.
 */
export function createWorker(deps: WorkerDeps): Worker {
  const stopping = new AbortController()
  const working = new Set<Promise<void>>()

  /** Disposal waits for all of this work; an error in it is logged, and stops no other work. */
  const run = (work: Promise<void>, sentence: string, facts: object = {}) => {
    const logged = work.catch((err: unknown) => deps.log.error({ err, ...facts }, sentence))
    working.add(logged)
    return logged.finally(() => working.delete(logged))
  }
  const serve = (projectId: ProjectId) =>
    run(serveProject(deps, projectId, stopping.signal), 'failed to serve a project', { projectId })
  const sweep = () => void run(ringForWaiting(deps), 'failed to sweep the queue')

  let sweeping: NodeJS.Timeout | undefined
  return {
    start() {
      deps.queue.serve(serve)
      sweep()
      void run(finishRemovals(deps, stopping.signal), 'failed to look for removed projects')
      void run(recoverReviews(deps, stopping.signal), 'failed to look for interrupted reviews')
      void run(repairAll(deps, stopping.signal), 'failed to check the workspaces')
      sweeping = setInterval(sweep, LIMITS.sweepEveryMs)
    },

    async [Symbol.asyncDispose]() {
      clearInterval(sweeping)
      stopping.abort()
      await Promise.allSettled(working)
    }
  }
}

async function serveProject(
  deps: WorkerDeps,
  projectId: ProjectId,
  stopping: AbortSignal
): Promise<void> {
  await using lease = await deps.lock.acquire(projectId)
  if (!lease) return

  try {
    await recoverProject(deps, lease)
    await drain(deps, lease, stopping)
  } catch (error) {
    // Another worker has the project now, and ends its job.
    if (error instanceof JobFailure && error.code === 'lease_lost') return
    throw error
  }
}

async function drain(deps: WorkerDeps, lease: Lease, stopping: AbortSignal): Promise<void> {
  while (!stopping.aborted && !lease.signal.aborted) {
    // Queued jobs wait: the sweep rings for them again.
    if (await deps.disk.isFull()) return
    const job = await claimNextJob(deps.db, lease.projectId, lease.token, deps.clock.now())
    if (!job) return

    await runJob(deps, job, lease, stopping)
  }
}

/** Rings for projects with queued jobs and no active one, and for those whose worker may have died. */
async function ringForWaiting({ db, queue }: WorkerDeps): Promise<void> {
  const active = await readActiveJobs(db)
  const projects = [...(await readWaitingProjects(db)), ...active.map((job) => job.project_id)]
  for (const projectId of new Set(projects)) queue.ring(projectId)
}
