import { isAncestor, moveRef, treeOf, writeCommit, KILOWATT } from '../history/commits.ts'
import { mainOf, type WorkspaceContext } from '../history/context.ts'
import { mergeTrees, type Conflicts, type TreeMerge } from '../history/merges.ts'
import { jobRef, readHead, readRef } from '../git/refs.ts'

/** A job's own change: from `base` to `commit`. */
export interface OwnChange {
  readonly base: string
  readonly commit: string
}

export interface DropOptions {
  readonly branch: string
  /** The unreviewed commit that the dropped work stands on; undefined: main. */
  readonly below?: string | undefined
  /** The work that stands on the dropped work and is to be kept, from the bottom up. */
  readonly later: readonly OwnChange[]
  /** Returns the result, and changes nothing. */
  readonly dryRun?: boolean | undefined
}

export type DropResult =
  /** What `later` is now, in the same order. */
  | { readonly kind: 'dropped'; readonly replayed: readonly OwnChange[] }
  /** `at` is the index in `later` of the change that cannot be kept without the dropped work. */
  | ({ readonly kind: 'conflict'; readonly at: number } & Conflicts)

/**
 * Takes a job's work out of its conversation's branch. Each later change is replayed by a three-way merge on what is
 * below the dropped work, so that no kept commit contains it. Then the branch is at the last kept commit, or gone.
 * When a later change conflicts, the branch stays as it was. The commits of dropped work stay readable by their ids.
 *
 * Idempotent: after a crash it can be carried out again with the same options.
 */
export async function dropWork(
  context: WorkspaceContext,
  { branch, below, later }: DropOptions
): Promise<DropResult> {
  const replayed: OwnChange[] = []
  for (const [at, change] of later.entries()) {
    const base = await standOn(context, replayed.at(-1)?.commit ?? below, change.base)
    const result = await replay(context, change, base)
    if (result.kind === 'conflict') return { at, ...result }
    replayed.push({ base, commit: result.commit })
  }
  await pointBranch(context, jobRef(branch), replayed.at(-1)?.commit ?? below)
  return { kind: 'dropped', replayed }
}

/** The commit that a replayed change starts from: what is below it, with as much of main as it has seen before. */
async function standOn(
  context: WorkspaceContext,
  below: string | undefined,
  base: string
): Promise<string> {
  const { out } = await context.git(['merge-base', mainOf(context), base])
  const seen = out.trim()
  if (below === undefined) return seen
  if (await isAncestor(context, seen, below)) return below
  const merged = await mergeTrees(context, below, seen)
  if (merged.kind === 'conflict') return below
  const message = "Merge main into the session's work"
  const { tree } = merged
  return writeCommit(context, { tree, parents: [below, seen], author: KILOWATT, message })
}

type Replayed =
  | { readonly kind: 'replayed'; readonly commit: string }
  | ({ readonly kind: 'conflict' } & Conflicts)

async function replay(
  context: WorkspaceContext,
  change: OwnChange,
  onto: string
): Promise<Replayed> {
  const [base, theirs, ours] = await Promise.all(
    [change.base, change.commit, onto].map((commit) => treeOf(context, commit))
  )
  const merged = await mergeThreeWay(context, { base: base!, ours: ours!, theirs: theirs! })
  if (merged.kind === 'conflict') return merged
  const { author, message } = await noteOf(context, change.commit)
  const { tree } = merged
  return {
    kind: 'replayed',
    commit: await writeCommit(context, { tree, parents: [onto], author, message })
  }
}

/** Merges two trees that have both changed a third one, which need not be in the history of any of them. */
export async function mergeThreeWay(
  context: WorkspaceContext,
  { base, ours, theirs }: Readonly<Record<'base' | 'ours' | 'theirs', string>>
): Promise<TreeMerge> {
  if (ours === base) return { kind: 'merged', tree: theirs }
  if (theirs === base || theirs === ours) return { kind: 'merged', tree: ours }
  // merge-tree finds the base of two commits by itself, so each tree gets a commit for it.
  const note = { author: KILOWATT, message: 'A side of a merge' }
  const parent = await writeCommit(context, { tree: base, parents: [], ...note })
  const side = (tree: string) => writeCommit(context, { tree, parents: [parent], ...note })
  return mergeTrees(context, await side(ours), await side(theirs))
}

async function noteOf(context: WorkspaceContext, commit: string) {
  const { out } = await context.git(['log', '-1', '--format=%an%x00%ae%x00%B', commit])
  const [name = '', email = '', message = ''] = out.split('\0')
  return { author: { name, email }, message }
}

/** Points the branch to `tip`, or deletes it. A branch that a job is working on is that job's to move. */
async function pointBranch(
  context: WorkspaceContext,
  ref: string,
  tip: string | undefined
): Promise<void> {
  if (readHead(context.repo) === ref) return
  const from = readRef(context.repo, ref)
  if (from === tip) return
  if (tip !== undefined) moveRef(context, ref, tip, from)
  else if (from !== undefined) await context.git(['update-ref', '-d', ref, from])
}
