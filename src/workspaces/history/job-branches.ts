import {
  commitIndex,
  isAncestor,
  jobOf,
  KILO,
  KILOWATT,
  moveRef,
  treeOf,
  writeCommit,
  type CommitOptions
} from './commits.ts'
import { updateKeptOut } from '../moves/kept-out.ts'
import { commitLeftovers, keepOutUntracked } from './leftovers.ts'
import { mergeTrees } from './merges.ts'
import { finishPendingCheckout, moveWorktree, restoreTracked } from '../moves/checkout.ts'
import { mainOf, markClean, readWorktreeHead, type WorkspaceContext } from './context.ts'
import { jobRef, MAIN, readHead, readRef, writeHead } from '../git/refs.ts'
import { stageAll } from './staging.ts'

const CRASH_COMMIT: CommitOptions = {
  subject: 'Work that an interrupted job left in the worktree',
  trailers: {},
  author: KILO
}
const LATE_COMMIT: CommitOptions = {
  subject: 'Work that was written after the end of the job',
  trailers: {},
  author: KILO
}
/** How long `knownClean` is valid: enough for a caller that commits and then returns to main. */
const KNOWN_CLEAN_MAX_AGE_MS = 1000

export interface StartOptions {
  /** The job that `changedByJob` names while its work is not committed yet. */
  readonly job?: string
  /** The start of the branch: main, a commit of the branch, or (by default) the branch's current commit. */
  readonly from?: 'main' | { readonly commit: string }
}

/**
 * Prepares the worktree for a job: commits people's uncommitted changes on main, then checks out the job's branch.
 * Returns the commit that the branch starts at. A new branch gets its ref with its first commit; until then it is
 * treated as being at main.
 */
export async function startJob(
  context: WorkspaceContext,
  branch: string,
  { job, from }: StartOptions = {}
): Promise<{ base: string }> {
  const ref = jobRef(branch)
  await finishPendingCheckout(context)
  if (readHead(context.repo) !== MAIN) await commitAndReturnToMain(context, CRASH_COMMIT)
  const ignored = await commitLeftovers(context)
  updateKeptOut(context, () => ({ ignored }))

  const main = mainOf(context)
  const start = from === 'main' ? main : from?.commit
  const tip = await resetBranch(context, ref, start)
  const base = tip === undefined || tip === main ? main : await catchUp(context, ref, tip, main)
  if (base === main) writeHead(context.repo, ref)
  else await moveWorktree(context, { ref, from: main, to: base })

  context.memory.job = job
  context.memory.changedPaths = undefined
  context.memory.savedPaths = new Set()
  context.memory.knownClean = undefined
  return { base }
}

/** Resets the branch to `start` and returns its tip. Its other commits stay readable by their ids. */
async function resetBranch(
  context: WorkspaceContext,
  ref: string,
  start: string | undefined
): Promise<string | undefined> {
  const tip = readRef(context.repo, ref)
  if (start === undefined || start === tip) return tip
  const isNew = tip === undefined && start === mainOf(context)
  if (!isNew) moveRef(context, ref, start, tip)
  return isNew ? undefined : start
}

/** Merges main into a session's earlier branch, unless its held work conflicts with main. */
async function catchUp(
  context: WorkspaceContext,
  ref: string,
  tip: string,
  main: string
): Promise<string> {
  if (await isAncestor(context, main, tip)) return tip
  if (await isAncestor(context, tip, main)) {
    moveRef(context, ref, main, tip)
    return main
  }
  const merged = await mergeTrees(context, tip, main)
  if (merged.kind === 'conflict') return tip
  const message = "Merge main into the session's work"
  const commit = await writeCommit(context, {
    tree: merged.tree,
    parents: [tip, main],
    author: KILOWATT,
    message
  })
  moveRef(context, ref, commit, tip)
  return commit
}

/** Commits all changes of the worktree on the job's branch; returns undefined when there are none. */
export async function commitJob(
  context: WorkspaceContext,
  options: CommitOptions,
  { afterCrash = false } = {}
): Promise<string | undefined> {
  await finishPendingCheckout(context)
  const { ref, onJob, tip, commit: parent } = readWorktreeHead(context)
  if (!onJob) throw new Error('the worktree is not on a job branch')

  // After an interrupted call the index may be ahead of the branch: staging reports no change, but the trees differ.
  const indexAhead = afterCrash || context.memory.commitUnfinished === true
  context.memory.commitUnfinished = true
  const changed = (await stageAll(context)) || indexAhead
  const commit = changed ? await commitIndex(context, parent, options) : undefined
  if (commit !== undefined) moveRef(context, ref, commit, tip)
  context.memory.commitUnfinished = false
  markClean(context, commit ?? parent)
  return commit
}

/**
 * Returns the worktree to main: undoes exactly what the branch changed. Work that is not committed yet is committed on
 * the branch first, so that it is neither lost nor left on main. What the job wrote and did not commit (files that are
 * ignored by its rules only, names that git cannot store) stays, and is kept out of commits. A worktree that is on main
 * already is not touched.
 */
export async function returnToMain(context: WorkspaceContext): Promise<void> {
  await finishPendingCheckout(context)
  const { ref, onJob, commit, main } = readWorktreeHead(context)
  if (ref === MAIN) return

  const { knownClean } = context.memory
  const fresh = knownClean && context.clock.monotonicMs() - knownClean.atMs < KNOWN_CLEAN_MAX_AGE_MS
  const late = fresh || !onJob ? undefined : await commitJob(context, LATE_COMMIT)
  const from = fresh ? knownClean.commit : (late ?? commit)
  const hasMoved = from !== main && (await treeOf(context, from)) !== (await treeOf(context, main))
  await moveWorktree(context, { ref: MAIN, from, to: main })
  const leftOut = context.memory.leftOut ?? []
  if (leftOut.length > 0) await restoreTracked(context, leftOut)
  if (hasMoved || leftOut.length > 0) await keepOutUntracked(context)
  context.memory.knownClean = undefined
  context.memory.leftOut = []
  context.memory.job = undefined
  context.memory.changedPaths = undefined
  context.memory.savedPaths = undefined
}

/**
 * Recovery after a crash: commits the worktree's changes on the job branch that HEAD names, and returns to main.
 * Idempotent: a second call finds the commit by its `Job-Id` trailer and returns it.
 */
export async function rescue(
  context: WorkspaceContext,
  branch: string,
  options: CommitOptions
): Promise<string | undefined> {
  await finishPendingCheckout(context)
  const { ref, onJob } = readWorktreeHead(context)
  const rescued = ref === MAIN ? undefined : await commitAndReturnToMain(context, options)
  if (rescued !== undefined) return rescued

  const tip = readRef(context.repo, onJob ? ref : jobRef(branch))
  const job = options.trailers['Job-Id']
  if (tip === undefined || job === undefined) return undefined
  return (await jobOf(context, tip)) === job ? tip : undefined
}

async function commitAndReturnToMain(
  context: WorkspaceContext,
  options: CommitOptions
): Promise<string | undefined> {
  const { onJob } = readWorktreeHead(context)
  const commit = onJob ? await commitJob(context, options, { afterCrash: true }) : undefined
  await returnToMain(context)
  return commit
}
