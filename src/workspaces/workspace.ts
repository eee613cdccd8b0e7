import { join } from 'node:path'
import { AppError } from '#kernel/errors.ts'
import {
  commitJob,
  discardJob,
  rescue,
  returnToMain,
  startJob,
  type StartOptions
} from './history/job-branches.ts'
import { findCommit, parentOf, type CommitOptions } from './history/commits.ts'
import { diffOf, rawDiffOf, type Diff } from './history/diffs.ts'
import { readFile } from './files/files.ts'
import {
  changesOf,
  listCommit,
  listWorktree,
  resolve,
  type Change,
  type Listing
} from './history/listing.ts'
import { mergeJob, revert, type MergeOptions, type MergeResult } from './history/merges.ts'
import { finishMove } from './history/checkout.ts'
import { mainOf, type WorkspaceContext } from './history/context.ts'
import {
  removeFile,
  saveFile,
  type RemoveOptions,
  type Saved,
  type SaveOptions
} from './history/saves.ts'
import { createMutex } from './mutex.ts'

export interface FileContent {
  readonly path: string
  readonly content: Buffer
  readonly sha: string
  readonly size: number
}

/** One project's files and their history. Whatever changes them does so alone, one short step at a time. */
export interface Workspace {
  /** The folder in which the editor, the agent and dev servers work. */
  readonly worktree: string
  /** The commit of main. */
  head(): Promise<string>
  /** The worktree as it is, or what a commit or branch holds. */
  list(at?: string): Promise<Listing>
  read(path: string): Promise<FileContent>
  save(path: string, content: Buffer, options: SaveOptions): Promise<Saved>
  remove(path: string, options: RemoveOptions): Promise<{ path: string; commit: string }>
  /** The newest commit of main after `since` by this author that changed the path; undefined without one. */
  findCommit(
    path: string,
    of: { readonly since: string; readonly authorEmail: string }
  ): Promise<string | undefined>

  startJob(branch: string, options?: StartOptions): Promise<{ base: string }>
  changes(): Promise<Change[]>
  /** Null when nothing changed. */
  commitJob(options: CommitOptions): Promise<string | null>
  /**
   * Where a job's own work begins: the commit below its commit. This is not where the job started if people saved
   * meanwhile, since their saves lie below it.
   */
  baseOf(commit: string): Promise<string>
  diff(base: string, head: string): Promise<Diff>
  rawDiff(base: string, head: string): Promise<string>
  mergeJob(branch: string, options: MergeOptions): Promise<MergeResult>
  returnToMain(): Promise<void>
  discardJob(branch: string): Promise<void>
  revert(base: string, commit: string, options: MergeOptions): Promise<MergeResult>
  rescue(branch: string, options: CommitOptions): Promise<string | null>
}

export function createWorkspace(context: WorkspaceContext, lockPath: string): Workspace {
  const alone = createMutex(lockPath)

  return {
    worktree: context.worktree,
    head: async () => mainOf(context),
    list: (at) =>
      at === undefined
        ? alone(async () => {
            await finishMove(context)
            return listWorktree(context)
          })
        : listCommit(context, at),
    read: async (path) => {
      const file = await readFile(context.worktree, path)
      if (!file) throw new AppError('not_found', 'There is no such file', { path })
      return { path, content: file.content, sha: file.sha, size: file.content.length }
    },
    save: (path, content, options) => alone(() => saveFile(context, path, content, options)),
    remove: (path, options) => alone(() => removeFile(context, path, options)),
    findCommit: (path, of) => findCommit(context, path, of),

    startJob: (branch, options) => alone(() => startJob(context, branch, options)),
    changes: () => alone(() => changesOf(context)),
    commitJob: (options) => alone(async () => (await commitJob(context, options)) ?? null),
    baseOf: async (commit) => parentOf(context, await resolve(context, commit)),
    diff: (base, head) => diffOf(context, base, head),
    rawDiff: (base, head) => rawDiffOf(context, base, head),
    mergeJob: (branch, options) => alone(() => mergeJob(context, branch, options)),
    returnToMain: () => alone(() => returnToMain(context)),
    discardJob: (branch) => alone(() => discardJob(context, branch)),
    revert: (base, commit, options) => alone(() => revert(context, base, commit, options)),
    rescue: (branch, options) => alone(async () => (await rescue(context, branch, options)) ?? null)
  }
}

/** Where in a project's folder everything is. */
export const layout = (dir: string) => ({
  repo: join(dir, 'repo'),
  worktree: join(dir, 'worktree'),
  aside: join(dir, 'aside'),
  moving: join(dir, 'moving'),
  lock: join(dir, 'lock')
})
