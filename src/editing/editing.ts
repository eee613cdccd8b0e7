import type { ProjectId, ReservedUlid, UserId } from '#kernel/ids.ts'
import type { FileContent, Listing, Saved } from '#workspaces'
import { createProject, type NewProject, type ProjectWithHead } from './create-project.ts'
import { removeFile, saveFile, type SaveRequest } from './edit-files.ts'
import type { EditingDeps } from './editing-deps.ts'
import { recoverEdits } from './recover-edits.ts'

export type { NewProject, ProjectWithHead } from './create-project.ts'
export type { SaveRequest } from './edit-files.ts'
export type { EditingDeps } from './editing-deps.ts'

/**
 * What people read and change in a project's files. A change of the workspace and its event belong together: whatever
 * interrupts an edit, either both are there or, after the next start, neither or both. Callers have checked that the
 * project is the user's own. Refusals are AppErrors with the contract's codes.
 */
export interface Editing {
  createProject(
    userId: UserId,
    project: NewProject,
    reservedId: ReservedUlid
  ): Promise<ProjectWithHead>
  /** The commit of main; null when the workspace cannot be read. */
  head(projectId: ProjectId): Promise<string | null>
  /** The files of the worktree, or of a commit or branch. */
  list(projectId: ProjectId, at?: string): Promise<Listing>
  read(projectId: ProjectId, path: string): Promise<FileContent>
  save(userId: UserId, projectId: ProjectId, path: string, save: SaveRequest): Promise<Saved>
  remove(
    userId: UserId,
    projectId: ProjectId,
    path: string,
    options: { readonly ifMatch?: string | undefined }
  ): Promise<{ path: string; commit: string }>
  /** Finishes the edits that a crash interrupted. Belongs before the first request. */
  recover(): Promise<void>
}

export function createEditing(deps: EditingDeps): Editing {
  const { workspaces } = deps
  return {
    createProject: (userId, project, reservedId) =>
      createProject(deps, userId, project, reservedId),
    head: (projectId) =>
      workspaces
        .open(projectId)
        .head()
        .catch((err: unknown) => {
          deps.log.error({ err, projectId }, 'workspace cannot be read')
          return null
        }),
    list: (projectId, at) => workspaces.open(projectId).list(at),
    read: (projectId, path) => workspaces.open(projectId).read(path),
    save: (userId, projectId, path, save) => saveFile(deps, userId, projectId, path, save),
    remove: (userId, projectId, path, options) =>
      removeFile(deps, userId, projectId, path, options),
    recover: () => recoverEdits(deps)
  }
}
