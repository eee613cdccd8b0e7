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
  { db, commands }: DiffDeps,
  userId: UserId,
  id: string,
  path?: string
): Promise<JobDiff> {
  const { project_id, base, commit } = await ownJob(db, userId, id)
  if (base === null || commit === null) return NO_DIFF
  const diff = await commands.diff(project_id, base, commit, path)
  return { ...diff, files: diff.files.map((file) => ({ ...file })) }
}

/** The same as a patch that `git apply` accepts, byte for byte as git wrote it. */
export async function patchOfJob(
  { db, commands }: DiffDeps,
  userId: UserId,
  id: string,
  path?: string
): Promise<RawPatch> {
  const { project_id, base, commit } = await ownJob(db, userId, id)
  if (base === null || commit === null) return { bytes: 0, stream: Readable.from([]) }
  return commands.rawDiff(project_id, base, commit, path)
}
