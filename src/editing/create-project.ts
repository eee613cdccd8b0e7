import { projectId, type ReservedUlid, type UserId } from '#kernel/ids.ts'
import { insertProject, readProject, type Project } from '#projects'
import type { WorkspaceSource } from '#workspaces'
import { authorOf } from './author.ts'
import { makeEdit } from './edit.ts'
import type { EditingDeps } from './editing-deps.ts'

export interface NewProject extends WorkspaceSource {
  readonly name: string
  readonly review?: 'merge' | 'hold' | undefined
}

export interface ProjectWithHead {
  readonly project: Project
  /** The commit of main. */
  readonly head: string
}

/**
 * Creates a project: first its workspace, then its row, so that a project that can be found has its files. When either
 * fails, neither stays. Idempotent by `reservedId`: a project of that id, which an earlier attempt of the same request
 * has made, is the answer.
 */
export async function createProject(
  deps: EditingDeps,
  userId: UserId,
  { name, review = 'merge', ...source }: NewProject,
  reservedId: ReservedUlid
): Promise<ProjectWithHead> {
  const { db, workspaces } = deps
  const id = projectId.from(reservedId)
  if (reservedId.mayExist) {
    const existing = await readProject(db, userId, id)
    if (existing) return { project: existing, head: await workspaces.open(id).head() }
    await workspaces.remove(id)
  }

  let project: Project | undefined
  let isCreated = false
  try {
    const { head } = await makeEdit(
      deps,
      { kind: 'create', projectId: id, userId },
      async () => {
        const created = await workspaces.create(id, source, authorOf(userId))
        isCreated = true
        return created
      },
      async (tx) => {
        project = await insertProject(tx, { id, userId, name: name.trim(), review })
      }
    )
    return { project: project!, head }
  } catch (error) {
    // A workspace that another attempt of the same request is creating is not this attempt's to remove.
    if (isCreated) await workspaces.remove(id)
    throw error
  }
}
