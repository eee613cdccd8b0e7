import type { Tx } from '#db'
import type { ProjectId, UserId } from '#kernel/ids.ts'
import { blobId, forClients } from '#workspaces'
import { authorOf } from './author.ts'
import { makeEdit } from './edit.ts'
import type { EditingDeps } from './editing-deps.ts'

export interface SaveRequest {
  readonly content: Buffer
  /** Of the commit; by default it names the path. */
  readonly message?: string | undefined
  /** The blob id that the file must have, or `*`: the file must exist. */
  readonly ifMatch?: string | undefined
  /** The file must not exist. */
  readonly ifNoneMatch?: '*' | undefined
}

export interface FileChange {
  readonly path: string
  readonly pathEncoding?: 'percent'
  /** The git blob id of the content; null for a file that was removed. */
  readonly sha: string | null
  /** Null for an ignored file, which is not committed. */
  readonly commit: string | null
  readonly ignored?: true
  readonly by: UserId
}

/** Saves a file, commits it on main, and writes `file:changed`. */
export async function saveFile(
  deps: EditingDeps,
  userId: UserId,
  projectId: ProjectId,
  path: string,
  { content, ...options }: SaveRequest
) {
  await deps.quota?.admit(projectId, content.length)
  const workspace = deps.workspaces.open(projectId)
  const head = await workspace.head()
  const sha = blobId(content)
  const { message } = options
  const saved = await makeEdit(
    deps,
    { kind: 'save', projectId, userId, path, sha, head, message },
    () => workspace.save(path, content, { ...options, author: authorOf(userId) }),
    async (tx, { path, sha, commit, ignored, conflictsWith }) => {
      const change = {
        ...forClients(path),
        sha,
        commit,
        ...(ignored ? { ignored } : {}),
        by: userId
      }
      await appendFileChange(deps, tx, projectId, change)
      await appendConflictRisk(deps, tx, projectId, path, conflictsWith)
    }
  )
  deps.events.announce(projectId)
  return saved
}

/** Removes a file, commits that on main, and writes `file:changed`. */
export async function removeFile(
  deps: EditingDeps,
  userId: UserId,
  projectId: ProjectId,
  path: string,
  options: { readonly ifMatch?: string | undefined }
) {
  const workspace = deps.workspaces.open(projectId)
  const head = await workspace.head()
  const removed = await makeEdit(
    deps,
    { kind: 'remove', projectId, userId, path, sha: null, head },
    () => workspace.remove(path, { ...options, author: authorOf(userId) }),
    async (tx, { path, commit, conflictsWith }) => {
      await appendFileChange(deps, tx, projectId, {
        ...forClients(path),
        sha: null,
        commit,
        by: userId
      })
      await appendConflictRisk(deps, tx, projectId, path, conflictsWith)
    }
  )
  deps.events.announce(projectId)
  return { path: removed.path, commit: removed.commit }
}

export async function appendFileChange(
  { events }: Pick<EditingDeps, 'events'>,
  tx: Tx,
  projectId: ProjectId,
  data: FileChange
): Promise<void> {
  await events.append(tx, { projectId, jobId: null }, [{ type: 'file:changed', data: { ...data } }])
}

/** `job:conflict-risk`, when a person changed what the running job had changed. It belongs to the project's history. */
async function appendConflictRisk(
  { events }: Pick<EditingDeps, 'events'>,
  tx: Tx,
  projectId: ProjectId,
  path: string,
  jobId: string | undefined
): Promise<void> {
  if (jobId === undefined) return
  const data = { path: forClients(path).path, jobId, by: 'user' as const }
  await events.append(tx, { projectId, jobId: null }, [{ type: 'job:conflict-risk', data }])
}
