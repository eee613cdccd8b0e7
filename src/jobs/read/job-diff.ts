import { Readable } from 'node:stream'
import type { UserId } from '#kernel/ids.ts'
import type { RawPatch } from '#workspaces'
import type { ApiDeps } from '../job-deps.ts'
import type { JobDiff } from '../job-schemas.ts'
import { ownJob } from '../stores/job-read-store.ts'

type DiffDeps = Pick<ApiDeps, 'db' | 'commands'>

const NO_DIFF: JobDiff = { base: null, head: null, files: [], truncated: false }

/** What the job itself changed, or what it changed in one path. A job without a commit has an empty diff. */
export async function diffOfJob(
  deps: DiffDeps,
  userId: UserId,
  id: string,
  path?: string
): Promise<JobDiff> {
  const work = await ownWork(deps, userId, id)
  if (!work) return NO_DIFF
  const diff = await deps.commands.diff(...work, path)
  return { ...diff, files: diff.files.map((file) => ({ ...file })) }
}

/** The same as a patch that `git apply` accepts, byte for byte as git wrote it. */
export async function patchOfJob(
  deps: DiffDeps,
  userId: UserId,
  id: string,
  path?: string
): Promise<RawPatch> {
  const work = await ownWork(deps, userId, id)
  if (!work) return { bytes: 0, stream: Readable.from([]) }
  return deps.commands.rawDiff(...work, path)
}

/** The project of a user's job, and the two commits between which its work is; undefined without work. */
async function ownWork({ db }: DiffDeps, userId: UserId, id: string) {
  const { project_id, base, commit } = await ownJob(db, userId, id)
  return base === null || commit === null ? undefined : ([project_id, base, commit] as const)
}
