import type { Clock } from '#kernel/clock.ts'
import type { Log } from '#kernel/log.ts'
import type { RunGit } from '../git/runner-host.ts'
import type { Git } from '../git/git.ts'
import { isJobRef, MAIN, readHead, readRef } from '../git/refs.ts'

/** One project's folders, and what this process remembers of them. What has to survive it is in files. */
export interface WorkspaceContext {
  readonly repo: string
  readonly worktree: string
  /** On the same device as the worktree, and out of the agent's sight. */
  readonly aside: string
  /** While this file is there, the worktree is on its way to the ref that it names. */
  readonly moving: string
  readonly git: Git
  /** Git without a place, for the repository that is not there yet. */
  readonly run: RunGit
  readonly log: Log
  readonly clock: Clock
  readonly memory: Memory
}

export interface Memory {
  /** The worktree was seen to hold exactly this commit's files, at this moment. */
  settled?: { readonly commit: string; readonly atMs: number } | undefined
  /** A commit was begun and not ended: the index may hold more than the branch. */
  staging?: boolean
  /** The job whose work is in the worktree, if its caller said. */
  job?: string | undefined
  /** Facts about commits that never change. */
  readonly trees: Map<string, string>
  readonly parents: Map<string, string>
}

const REMEMBERED_MAX = 200

export function remember(facts: Map<string, string>, commit: string, fact: string): void {
  if (facts.size >= REMEMBERED_MAX) facts.clear()
  facts.set(commit, fact)
}

export function mainOf(context: WorkspaceContext): string {
  const main = readRef(context.repo, MAIN)
  if (main === undefined) throw new Error('main has no commit')
  return main
}

export interface Standing {
  readonly ref: string
  readonly onJob: boolean
  /** The branch's own commit; a job's branch has none before its first one, and then is where main is. */
  readonly tip: string | undefined
  /** The commit that the index, and so the next commit, starts from. */
  readonly commit: string
  readonly main: string
}

/** Where the worktree stands. */
export function standing(context: WorkspaceContext): Standing {
  const ref = readHead(context.repo)
  const main = mainOf(context)
  const tip = readRef(context.repo, ref)
  return { ref, onJob: isJobRef(ref), tip, commit: tip ?? main, main }
}

export const settle = (context: WorkspaceContext, commit: string): void => {
  context.memory.settled = { commit, atMs: context.clock.monotonicMs() }
}
