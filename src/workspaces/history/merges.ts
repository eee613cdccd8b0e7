import { parseConflicts, type Conflict } from '../review/conflicts.ts'
import { resolveConflicts, type Resolution, type Unfinished } from '../review/resolutions.ts'
import { isAncestor, moveRef, treeOf, writeCommit, type Author } from './commits.ts'
import { commitLeftovers } from './leftovers.ts'
import { resolve } from './listing.ts'
import { blockedPaths } from '../moves/obstacles.ts'
import { finishPendingCheckout, moveWorktree } from '../moves/checkout.ts'
import { mainOf, readWorktreeHead, type WorkspaceContext } from './context.ts'
import { jobRef, MAIN, readRef } from '../git/refs.ts'

export interface MergeOptions {
  readonly author: Author
  readonly message: string
  /** Runs the same on copies, and changes nothing; the `commit` of a merge is then the current main. */
  readonly dryRun?: boolean | undefined
  /** What conflicting paths are to have. */
  readonly resolutions?: readonly Resolution[] | undefined
}

export type MergeResult =
  | { readonly kind: 'merged'; readonly commit: string }
  | ({ readonly kind: 'conflict' } & Conflicts)
  | { readonly kind: 'nothing' }

export interface Conflicts {
  readonly paths: readonly string[]
  /** What each side has at these paths. */
  readonly conflicts: readonly Conflict[]
}

/** Merges a job's branch, or one of its commits, into main, by fast-forward if possible. A conflict changes nothing. */
export async function mergeJob(
  context: WorkspaceContext,
  work: string,
  options: MergeOptions
): Promise<MergeResult> {
  await prepareMain(context)
  const main = mainOf(context)
  const isCommit = /^[0-9a-f]{40}$/.test(work)
  const tip = isCommit ? await resolve(context, work) : readRef(context.repo, jobRef(work))
  if (tip === undefined || tip === main) return { kind: 'nothing' }
  if (await isAncestor(context, main, tip)) {
    const blocked = await blockedPaths(context, main, tip)
    if (blocked.length > 0) return blockedBy(blocked)
    return advance(context, main, tip)
  }
  if (await isAncestor(context, tip, main)) return { kind: 'nothing' }

  const merged = await mergeTrees(context, main, tip)
  return commitMerge(context, main, merged, [main, tip], options)
}

/** Reverts the changes of `base..commit` on main with one new commit; later changes stay. */
export async function revert(
  context: WorkspaceContext,
  base: string,
  commit: string,
  options: MergeOptions
): Promise<MergeResult> {
  const [from, to] = [await resolve(context, base), await resolve(context, commit)]
  await prepareMain(context)
  const main = mainOf(context)
  if (from === to || !(await isAncestor(context, to, main))) return { kind: 'nothing' }

  // A child of `commit` with the files of `base`: merging it into main reverts exactly these changes.
  const undone = await writeCommit(context, {
    tree: await treeOf(context, from),
    parents: [to],
    ...options
  })
  const merged = await mergeTrees(context, main, undone)
  if (merged.kind === 'merged' && merged.tree === (await treeOf(context, main))) {
    return { kind: 'nothing' }
  }
  return commitMerge(context, main, merged, [main], options)
}

export type TreeMerge =
  | { readonly kind: 'merged'; readonly tree: string }
  | ({ readonly kind: 'conflict' } & Conflicts & Unfinished)

/** Merges two commits' files without an index or a worktree. */
export async function mergeTrees(
  context: WorkspaceContext,
  ours: string,
  theirs: string
): Promise<TreeMerge> {
  const { code, out } = await context.git(
    ['merge-tree', '--write-tree', '-z', '--messages', ours, theirs],
    { codes: [0, 1] }
  )
  const [tree = ''] = out.split('\0', 1)
  if (code === 0) return { kind: 'merged', tree: tree.trim() }
  const { conflicts, entries } = parseConflicts(out.slice(tree.length + 1))
  return { kind: 'conflict', ...conflictsOf(conflicts), tree: tree.trim(), entries }
}

async function prepareMain(context: WorkspaceContext): Promise<void> {
  if (context.dryRun?.isPending) return
  await finishPendingCheckout(context)
  if (readWorktreeHead(context).ref === MAIN) await commitLeftovers(context)
}

async function commitMerge(
  context: WorkspaceContext,
  main: string,
  merged: TreeMerge,
  parents: readonly string[],
  { author, message, resolutions }: MergeOptions
): Promise<MergeResult> {
  const { tree, open } = await finish(context, merged, resolutions)
  if (open.length > 0) return { kind: 'conflict', ...conflictsOf(open) }
  const blocked = await blockedPaths(context, main, tree)
  if (blocked.length > 0) return blockedBy(blocked)
  const commit = await writeCommit(context, { tree, parents, author, message })
  return advance(context, main, commit)
}

/** The merged tree, with the resolutions if there are any; or the conflicts that are open. */
async function finish(
  context: WorkspaceContext,
  merged: TreeMerge,
  resolutions: readonly Resolution[] = []
): Promise<{ readonly tree: string; readonly open: readonly Conflict[] }> {
  if (merged.kind === 'merged') return { tree: merged.tree, open: [] }
  if (resolutions.length === 0) return { tree: merged.tree, open: merged.conflicts }
  const resolved = await resolveConflicts(context, merged, resolutions)
  if (resolved.kind === 'open') return { tree: merged.tree, open: resolved.conflicts }
  return { tree: resolved.tree, open: [] }
}

const conflictsOf = (conflicts: readonly Conflict[]): Conflicts => ({
  paths: conflicts.map(({ path }) => path),
  conflicts
})

/** Ignored files of the worktree, which no branch has, lie where the merge would write. */
const blockedBy = (paths: readonly string[]): MergeResult => ({
  kind: 'conflict',
  paths,
  conflicts: []
})

/** Moves main, and updates the worktree if it is on main. */
async function advance(context: WorkspaceContext, from: string, to: string): Promise<MergeResult> {
  const { ref, tip } = readWorktreeHead(context)
  const publish = () => moveRef(context, MAIN, to, from)
  if (ref === MAIN && !context.dryRun) {
    await moveWorktree(context, { ref: MAIN, from, to, publish })
  } else {
    // A job branch without a commit is treated as main. It gets a ref here, so that it does not move along with main.
    if (ref !== MAIN && tip === undefined) moveRef(context, ref, from, undefined)
    publish()
  }
  return { kind: 'merged', commit: to }
}
