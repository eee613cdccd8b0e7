import { inTransaction } from '#db'
import { JobFailure } from '#kernel/job-failures.ts'
import { readHeldJob } from '../stores/job-read-store.ts'
import { updateBasedOn, type JobRow } from '../stores/job-store.ts'
import { lockSession } from '../stores/review-store.ts'
import type { JobRun } from './run-context.ts'

const POLL_MS = 50
/** How long a job waits for a review of the work that it continues from. */
const WAIT_MAX_MS = 60_000

/**
 * The commit of the held job that this one continues from; null: it starts from main. That is recorded before the worktree
 * has its files: from then on the held job cannot be discarded until this one has ended.
 */
export async function standOnHeldWork(run: JobRun): Promise<string | null> {
  const below = await findHeldWork(run)
  run.basedOn = below?.id
  return below?.commit ?? null
}

async function findHeldWork({ deps, job, signal }: JobRun): Promise<JobRow | undefined> {
  // Jobs of a project run one at a time, so that no work becomes held meanwhile.
  if (!(await readHeldJob(deps.db, job))) return undefined
  const deadlineMs = deps.clock.monotonicMs() + WAIT_MAX_MS
  for (;;) {
    const found = await inTransaction(deps.db, async (tx) => {
      await lockSession(tx, job.session_id)
      const below = await readHeldJob(tx, job)
      if (below?.merge === 'held') await updateBasedOn(tx, job.id, below.id)
      return below
    })
    if (found?.merge !== 'merging') return found
    if (deps.clock.monotonicMs() > deadlineMs) {
      const message = `a review of the job ${found.id} is still under way, from which this one continues`
      throw new JobFailure('workspace_error', message)
    }
    await deps.clock.sleep(POLL_MS, signal)
  }
}
