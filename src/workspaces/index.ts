export type { CloneRules, GitSource } from './create/cloning.ts'
export { blobId } from './files/files.ts'
export { KILO, KILOWATT, type Author, type CommitOptions } from './history/commits.ts'
export type { Diff, DiffFile } from './history/diffs.ts'
export type { Change, FileEntry, Listing } from './history/listing.ts'
export type { MergeOptions, MergeResult } from './history/merges.ts'
export type { RemoveOptions, Saved, SaveOptions } from './history/saves.ts'
export type { NewFile } from './create/templates.ts'
export type { FileContent, Workspace } from './workspace.ts'
export {
  createWorkspaces,
  type Workspaces,
  type WorkspaceSource,
  type WorkspacesOptions
} from './workspaces.ts'
