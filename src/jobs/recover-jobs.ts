import { JobFailure } from '#kernel/job-failures.ts'
import type { Lease } from '#ports/lock.ts'
import type { Workspace } from '#workspaces'
import { finishJob } from './finish-job.ts'
import type { JobDeps } from './job-deps.ts'
import { branchOf } from './job-run.ts'
import { readActiveJob } from './job-read-store.ts'
import { updateJobToken, type JobRow } from './job-store.ts'
import { AGENT } from './keep-work.ts'

/**
 * Finishes what a worker that died has left of a project: its agent is stopped, what lies in the worktree is
 * saved on the job's branch, the worktree is main's again, and the job ends `interrupted`, refunded whole.
 * Doing it twice is doing it once.
 */
export async function recoverProject(deps: JobDeps, lease: Lease): Promise<void> {
  const job = await readActiveJob(deps.db, lease.projectId)
  if (!job) return

  deps.log.warn({ projectId: job.project_id, jobId: job.id }, 'job left behind')
  await updateJobToken(deps.db, job.id, lease.token)
  await deps.supervisor.stop(job.project_id)
  const workspace = deps.workspaces.open(job.project_id)
  const commit = await rescueWork(deps, workspace, job)
  const failure = new JobFailure('interrupted', 'the server stopped in the middle of the job')
  await finishJob(deps, { ...job }, lease.token, {
    branch: job.branch,
    base: commit === null ? job.base : await workspace.baseOf(commit),
    commit,
    merge: 'none',
    told: null,
    failure: { code: failure.code, message: failure.message }
  })
}

async function rescueWork(deps: JobDeps, workspace: Workspace, job: JobRow) {
  try {
    return await workspace.rescue(branchOf(job), {
      subject: `Unfinished (interrupted): ${job.text.trim().split('\n', 1)[0]!.slice(0, 50)}`,
      trailers: { 'Job-Id': job.id, 'Session-Id': job.session_id, Model: job.model, Credits: '0' },
      author: AGENT
    })
  } catch (err) {
    deps.log.error({ err, jobId: job.id }, 'work could not be rescued')
    return null
  }
}
