import { join } from 'node:path'
import { AppError } from '#kernel/errors.ts'
import {
  commitJob,
  rescue,
  returnToMain,
  startJob,
  type StartOptions
} from './history/job-branches.ts'
import { findCommit, parentOf, type CommitOptions } from './history/commits.ts'
import { diffOf, rawDiffOf, type Diff, type RawPatch } from './history/diffs.ts'
import { readFile } from './files/files.ts'
import { forClients } from './files/names.ts'
import {
  changesOf,
  listCommit,
  listWorktree,
  resolve,
  type Change,
  type Listing
} from './history/listing.ts'
import { mergeJob, revert, type MergeOptions, type MergeResult } from './history/merges.ts'
import { finishPendingCheckout } from './moves/checkout.ts'
import { mainOf, type WorkspaceContext } from './history/context.ts'
import {
  removeFile,
  saveFile,
  type Removed,
  type RemoveOptions,
  type Saved,
  type SaveOptions
} from './history/saves.ts'
import type { SerialQueue } from '#kernel/waiting.ts'
import { GitError } from './git/git.ts'
import { createMutex } from './mutex.ts'
import { repair, type Check, type RepairOptions } from './repair/repair.ts'
import { maybeDry } from './review/dry-run.ts'
import { dropWork, type DropOptions, type DropResult } from './review/replay.ts'

export interface FileContent {
  readonly path: string
  readonly content: Buffer
  readonly sha: string
  readonly size: number
}

/** One project's files and their history. Operations that change them run one at a time, under the project's mutex. */
export interface Workspace {
  /** The folder that the editor, the agent and dev servers read and write. */
  readonly worktree: string
  /** The commit of main. */
  head(): Promise<string>
  /** Lists the current worktree, or the files of a commit or branch. */
  list(at?: string): Promise<Listing>
  read(path: string): Promise<FileContent>
  save(path: string, content: Buffer, options: SaveOptions): Promise<Saved>
  remove(path: string, options: RemoveOptions): Promise<Removed>
  /** The newest commit of main after `since` by this author that changed the path; undefined without one. */
  findCommit(
    path: string,
    of: { readonly since: string; readonly authorEmail: string }
  ): Promise<string | undefined>

  startJob(branch: string, options?: StartOptions): Promise<{ base: string }>
  changes(): Promise<Change[]>
  /** Returns null when nothing changed. `leftOut` then has the paths that git could not store. */
  commitJob(options: CommitOptions): Promise<string | null>
  leftOut(): readonly string[]
  /**
   * The parent of a job's commit: the base of the job's own changes. If people saved files while the job ran, this is
   * not the commit that the job started from, because their saves come before the job's commit.
   */
  baseOf(commit: string): Promise<string>
  /** With `path`: only of this file, or of the files in this folder. */
  diff(base: string, head: string, path?: string): Promise<Diff>
  rawDiff(base: string, head: string, path?: string): Promise<RawPatch>
  mergeJob(branch: string, options: MergeOptions): Promise<MergeResult>
  returnToMain(): Promise<void>
  /** Takes a job's work out of its conversation's branch, and replays the later work without it. */
  dropWork(options: DropOptions): Promise<DropResult>
  revert(base: string, commit: string, options: MergeOptions): Promise<MergeResult>
  rescue(branch: string, options: CommitOptions): Promise<string | null>
  /** Checks the workspace, and repairs what can be repaired. Works in every state of it. */
  repair(options: RepairOptions): Promise<readonly Check[]>
}

export function createWorkspace(context: WorkspaceContext, lockPath: string): Workspace {
  const inOrder = createMutex(lockPath)
  const exclusive: SerialQueue = (work) => inOrder(() => explained(work))
  const merging = (
    { dryRun }: MergeOptions,
    merge: (context: WorkspaceContext) => Promise<MergeResult>
  ) =>
    exclusive(async () => {
      const result = await maybeDry(context, dryRun, merge)
      return dryRun && result.kind === 'merged' ? { ...result, commit: mainOf(context) } : result
    })

  return {
    worktree: context.worktree,
    head: async () => mainOf(context),
    list: (at) =>
      at === undefined
        ? exclusive(async () => {
            await finishPendingCheckout(context)
            return named(await listWorktree(context))
          })
        : explained(async () => named(await listCommit(context, at))),
    read: async (path) => {
      const file = await readFile(context.worktree, path)
      if (!file) throw new AppError('not_found', 'File not found', { path })
      return { path, content: file.content, sha: file.sha, size: file.content.length }
    },
    save: (path, content, options) => exclusive(() => saveFile(context, path, content, options)),
    remove: (path, options) => exclusive(() => removeFile(context, path, options)),
    findCommit: (path, of) => explained(() => findCommit(context, path, of)),

    startJob: (branch, options) => exclusive(() => startJob(context, branch, options)),
    changes: () =>
      exclusive(async () =>
        (await changesOf(context)).map((change) => ({ ...change, ...forClients(change.path) }))
      ),
    commitJob: (options) => exclusive(async () => (await commitJob(context, options)) ?? null),
    leftOut: () => (context.memory.leftOut ?? []).map((path) => forClients(path).path),
    baseOf: (commit) => explained(async () => parentOf(context, await resolve(context, commit))),
    diff: (base, head, path) => explained(() => diffOf(context, base, head, path)),
    rawDiff: (base, head, path) => explained(() => rawDiffOf(context, base, head, path)),
    mergeJob: (branch, options) => merging(options, (dry) => mergeJob(dry, branch, options)),
    returnToMain: () => exclusive(() => returnToMain(context)),
    dropWork: (options) =>
      exclusive(() => maybeDry(context, options.dryRun, (context) => dropWork(context, options))),
    revert: (base, commit, options) =>
      merging(options, (dry) => revert(dry, base, commit, options)),
    rescue: (branch, options) =>
      exclusive(async () => (await rescue(context, branch, options)) ?? null),
    async repair(options) {
      try {
        return await exclusive(() => repair(context, options))
      } catch (error) {
        // Without its folder there is not even a lock.
        const detail = error instanceof Error ? error.message : String(error)
        return [{ name: 'folders', result: 'failed', detail }]
      }
    }
  }
}

/** With paths as clients get them. */
const named = ({ head, files }: Listing): Listing => ({
  head,
  files: files.map((file) => ({ ...file, ...forClients(file.path) }))
})

/** A failure of git has its words in the log, and a sentence of ours for the client. */
async function explained<T>(work: () => T | Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    if (!(cause instanceof GitError)) throw cause
    const detail = "Git failed on the project's files: the log has its words under this requestId"
    throw new AppError('workspace_error', detail, {}, { cause })
  }
}

/** Paths inside a project's folder. The names on disk are those of existing installations and never change. */
export const layout = (dir: string) => ({
  repo: join(dir, 'repo'),
  worktree: join(dir, 'worktree'),
  stagingDir: join(dir, 'aside'),
  pendingCheckout: join(dir, 'moving'),
  lock: join(dir, 'lock')
})
