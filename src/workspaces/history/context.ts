import type { Clock } from '#kernel/clock.ts'
import type { Log } from '#kernel/log.ts'
import type { RunGit } from '../git/runner-host.ts'
import type { Git } from '../git/git.ts'
import { isJobRef, MAIN, readHead, readRef } from '../git/refs.ts'

/**
 * One project's folders, and what this process caches about them.
 *
 * States of the worktree, all of them derived from files and never from the cache:
 *
 *   on main ── startJob ──▶ on a job branch ── returnToMain, rescue ──▶ on main
 *        any of these ── a checkout starts ──▶ checkout pending ── finishPendingCheckout ──▶ on the named ref
 *
 *   on main           HEAD names `refs/heads/main`. Uncommitted files belong to people.
 *   on a job branch   HEAD names `refs/heads/ai/session-…`. Uncommitted files belong to the job.
 *   checkout pending  the file `pendingCheckout` exists. Files of two commits may be mixed, and belong to no one.
 *
 * Besides, the worktree has entries that no commit of the server's own includes: ignored ones, and those that a job left
 * behind (moves/kept-out.ts).
 *
 * Invariants:
 * - main always has a commit. A job branch has none until its first commit, and is then treated as being at main.
 * - Every operation that changes files, refs or HEAD runs under the project's mutex (workspace.ts); only creation does
 *   not, because no other operation can reach the project yet. Operations that read commits need no lock, because git
 *   objects never change. `read` takes no lock either: it opens one file, which saves replace by a rename.
 * - A ref moves only from the commit that the operation read (`moveRef` compares and swaps).
 * - Every operation that changes the worktree, and the listing of it, first calls `finishPendingCheckout`. `read`,
 *   `changes` and dry runs do not: after a crash they can see a mixed worktree until another operation recovers it.
 * - A fresh process starts with an empty `memory`. It then runs more git commands, cannot name the running job for a
 *   stale save, and must treat a job branch in HEAD as interrupted (`startJob` and `rescue` do).
 *
 * What can go wrong: a crash between two steps. Each of its traces is a file (the pending checkout, an index that is
 * ahead of the branch, a job branch in HEAD, a file in the staging folder), and the next operation, or `rescue`,
 * recovers from it. A second process may hold another cache of the same project, so `knownClean` is trusted only for a
 * short time, and only commits and trees, which are immutable, are cached without a limit on their age.
 */
export interface WorkspaceContext {
  readonly repo: string
  readonly worktree: string
  /** Folder for temporary files: on the same device as the worktree, outside the agent's sandbox. */
  readonly stagingDir: string
  /** Path of the marker file that exists while a checkout is unfinished, and holds the name of its ref. */
  readonly pendingCheckout: string
  readonly git: Git
  /** Runs git without a repository: for the moment before the repository exists. */
  readonly run: RunGit
  readonly log: Log
  readonly clock: Clock
  readonly memory: Memory
  /** Set in a dry run: `repo` is a copy of the refs, and the worktree must not change. `isPending`: a checkout is. */
  readonly dryRun?: { readonly isPending: boolean } | undefined
}

export interface Memory {
  /** At this moment the worktree held exactly the files of this commit. */
  knownClean?: { readonly commit: string; readonly atMs: number } | undefined
  /** What the last staging could not include: names and files that git cannot store or read. */
  leftOut?: readonly string[]
  /** `commitJob` started and did not finish: the index may be ahead of the branch. */
  commitUnfinished?: boolean
  /** What the running job had changed when its files were last compared. */
  changedPaths?: ReadonlySet<string> | undefined
  /** What people saved or removed since the running job started. */
  savedPaths?: Set<string> | undefined
  /** The job whose work is in the worktree, if the caller of `startJob` named it. */
  job?: string | undefined
  /** Caches by commit id; both facts are immutable. */
  readonly trees: Map<string, string>
  readonly parents: Map<string, string>
}

const CACHED_COMMITS_MAX = 200

export function remember(facts: Map<string, string>, commit: string, fact: string): void {
  if (facts.size >= CACHED_COMMITS_MAX) facts.clear()
  facts.set(commit, fact)
}

export function mainOf(context: WorkspaceContext): string {
  const main = readRef(context.repo, MAIN)
  if (main === undefined) throw new Error('main has no commit')
  return main
}

export interface WorktreeHead {
  readonly ref: string
  readonly onJob: boolean
  /** The branch's own commit; undefined for a job branch before its first commit, which is treated as main. */
  readonly tip: string | undefined
  /** The commit that the index, and so the next commit, starts from. */
  readonly commit: string
  readonly main: string
}

/** Reads the branch that the worktree is on, and its commit, without running git. */
export function readWorktreeHead(context: WorkspaceContext): WorktreeHead {
  const ref = readHead(context.repo)
  const main = mainOf(context)
  const tip = readRef(context.repo, ref)
  return { ref, onJob: isJobRef(ref), tip, commit: tip ?? main, main }
}

export const markClean = (context: WorkspaceContext, commit: string): void => {
  context.memory.knownClean = { commit, atMs: context.clock.monotonicMs() }
}
