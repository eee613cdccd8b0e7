import type { UserId } from '#kernel/ids.ts'
import type { ApiDeps } from '../job-deps.ts'
import type { JobDiff } from '../job-schemas.ts'
import { ownJob } from '../stores/job-read-store.ts'

type DiffDeps = Pick<ApiDeps, 'db' | 'commands'>

const NO_DIFF: JobDiff = { base: null, head: null, files: [], truncated: false }

/** What the job itself changed. A job without a commit has an empty diff. */
export async function diffOfJob(deps: DiffDeps, userId: UserId, id: string): Promise<JobDiff> {
  const { project_id, base, commit } = await ownJob(deps.db, userId, id)
  if (base === null || commit === null) return NO_DIFF
  const diff = await deps.commands.diff(project_id, base, commit)
  return { ...diff, files: diff.files.map((file) => ({ ...file })) }
}

/** The same as a patch that `git apply` accepts. */
export async function patchOfJob(deps: DiffDeps, userId: UserId, id: string): Promise<string> {
  const { project_id, base, commit } = await ownJob(deps.db, userId, id)
  if (base === null || commit === null) return ''
  return deps.commands.rawDiff(project_id, base, commit)
}
