export type { CloneRules, GitSource } from './cloning.ts'
export { KILO, KILOWATT, type Author, type CommitOptions } from './commits.ts'
export type { Diff, DiffFile } from './diffs.ts'
export type { Change, FileEntry, Listing } from './listing.ts'
export type { MergeOptions, MergeResult } from './merges.ts'
export type { RemoveOptions, Saved, SaveOptions } from './saves.ts'
export type { NewFile } from './templates.ts'
export type { FileContent, Workspace } from './workspace.ts'
export {
  createWorkspaces,
  type Workspaces,
  type WorkspaceSource,
  type WorkspacesOptions
} from './workspaces.ts'
