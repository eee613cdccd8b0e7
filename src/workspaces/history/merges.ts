import { isAncestor, moveRef, treeOf, writeCommit, type Author } from './commits.ts'
import { commitLeftovers } from './leftovers.ts'
import { resolve } from './listing.ts'
import { finishMove, moveTo } from './checkout.ts'
import { mainOf, standing, type WorkspaceContext } from './context.ts'
import { jobRef, MAIN, readRef } from '../git/refs.ts'

export interface MergeOptions {
  readonly author: Author
  readonly message: string
  /** Answers what would happen, and changes nothing: a merge's `commit` is then main as it is. */
  readonly dryRun?: boolean | undefined
}

export type MergeResult =
  | { readonly kind: 'merged'; readonly commit: string }
  | { readonly kind: 'conflict'; readonly paths: readonly string[] }
  | { readonly kind: 'nothing' }

/** Takes a job's branch, or one commit of it, into main: forward, or by a merge commit. A conflict changes nothing. */
export async function mergeJob(
  context: WorkspaceContext,
  work: string,
  options: MergeOptions
): Promise<MergeResult> {
  await prepare(context, options)
  const main = mainOf(context)
  const isCommit = /^[0-9a-f]{40}$/.test(work)
  const tip = isCommit ? await resolve(context, work) : readRef(context.repo, jobRef(work))
  if (tip === undefined || tip === main) return { kind: 'nothing' }
  if (await isAncestor(context, main, tip)) {
    return options.dryRun ? { kind: 'merged', commit: main } : advance(context, main, tip)
  }
  if (await isAncestor(context, tip, main)) return { kind: 'nothing' }

  const merged = await mergeTrees(context, main, tip)
  return conclude(context, main, merged, [main, tip], options)
}

/** Takes the changes of `base..commit` back out of main, as one new commit; what came later stays. */
export async function revert(
  context: WorkspaceContext,
  base: string,
  commit: string,
  options: MergeOptions
): Promise<MergeResult> {
  const [from, to] = [await resolve(context, base), await resolve(context, commit)]
  await prepare(context, options)
  const main = mainOf(context)
  if (from === to || !(await isAncestor(context, to, main))) return { kind: 'nothing' }

  // A commit after `commit` that has the old files again: merged into main, it brings back just those.
  const undone = await writeCommit(context, {
    tree: await treeOf(context, from),
    parents: [to],
    ...options
  })
  const merged = await mergeTrees(context, main, undone)
  if (merged.kind === 'merged' && merged.tree === (await treeOf(context, main))) {
    return { kind: 'nothing' }
  }
  return conclude(context, main, merged, [main], options)
}

export type TreeMerge =
  | { readonly kind: 'merged'; readonly tree: string }
  | { readonly kind: 'conflict'; readonly paths: readonly string[] }

/** Merges two commits' files without an index or a worktree. */
export async function mergeTrees(
  context: WorkspaceContext,
  ours: string,
  theirs: string
): Promise<TreeMerge> {
  const { code, out } = await context.git(
    ['merge-tree', '--write-tree', '-z', '--name-only', '--no-messages', ours, theirs],
    { codes: [0, 1] }
  )
  const [tree = '', ...paths] = out.split('\0').filter((line) => line !== '')
  return code === 0 ? { kind: 'merged', tree: tree.trim() } : { kind: 'conflict', paths }
}

async function prepare(context: WorkspaceContext, { dryRun }: MergeOptions): Promise<void> {
  if (dryRun) return
  await finishMove(context)
  if (standing(context).ref === MAIN) await commitLeftovers(context)
}

async function conclude(
  context: WorkspaceContext,
  main: string,
  merged: TreeMerge,
  parents: readonly string[],
  { author, message, dryRun }: MergeOptions
): Promise<MergeResult> {
  if (merged.kind === 'conflict') return merged
  if (dryRun) return { kind: 'merged', commit: main }
  const commit = await writeCommit(context, { tree: merged.tree, parents, author, message })
  return advance(context, main, commit)
}

/** Moves main, and the worktree with it if it stands there. */
async function advance(context: WorkspaceContext, from: string, to: string): Promise<MergeResult> {
  const { ref, tip } = standing(context)
  const move = () => moveRef(context, MAIN, to, from)
  if (ref === MAIN) {
    await moveTo(context, MAIN, { clean: false, prepare: move })
  } else {
    // A branch without a commit of its own is where main was; it must not be carried along by others' work.
    if (tip === undefined) await moveRef(context, ref, from, undefined)
    await move()
  }
  return { kind: 'merged', commit: to }
}
