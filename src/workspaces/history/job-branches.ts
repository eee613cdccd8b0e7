import { AppError } from '#kernel/errors.ts'
import {
  commitIndex,
  isAncestor,
  jobOf,
  KILO,
  KILOWATT,
  moveRef,
  writeCommit,
  type CommitOptions
} from './commits.ts'
import { commitLeftovers } from './leftovers.ts'
import { mergeTrees } from './merges.ts'
import { finishMove, moveTo } from './checkout.ts'
import { mainOf, settle, standing, type WorkspaceContext } from './context.ts'
import { jobRef, MAIN, readHead, readRef, writeHead } from '../git/refs.ts'
import { stageAll } from './staging.ts'

const LEFT_BY_A_CRASH: CommitOptions = {
  subject: 'Work that an interrupted job left in the worktree',
  trailers: {},
  author: KILO
}
/** How long "the worktree was seen to be clean" is believed, by a caller that goes straight on. */
const SETTLED_TRUST_MS = 1000

export interface StartOptions {
  /** Whom `changedByJob` names while the job's work is not committed yet. */
  readonly job?: string
  /** Where the branch begins: at main, at a commit of its own, or (unless said) where it is. */
  readonly from?: 'main' | { readonly commit: string }
}

/**
 * Makes the worktree ready for a job: what people left there is committed on main, then it stands on the job's
 * branch. Answers the commit that the branch starts at. A new branch gets its ref with its first commit; until then
 * it is wherever main is.
 */
export async function startJob(
  context: WorkspaceContext,
  branch: string,
  { job, from }: StartOptions = {}
): Promise<{ base: string }> {
  const ref = jobRef(branch)
  await finishMove(context)
  if (readHead(context.repo) !== MAIN) await leaveBranch(context, LEFT_BY_A_CRASH)
  await commitLeftovers(context)

  const main = mainOf(context)
  const start = from === 'main' ? main : from?.commit
  const tip = await turnBack(context, ref, start)
  const base = tip === undefined || tip === main ? main : await catchUp(context, ref, tip, main)
  if (base === main) writeHead(context.repo, ref)
  else await moveTo(context, ref, { clean: false })

  context.memory.job = job
  context.memory.settled = undefined
  return { base }
}

/** The branch is at `start` again. What it had besides is in nobody's way, and still there under its commit's id. */
async function turnBack(
  context: WorkspaceContext,
  ref: string,
  start: string | undefined
): Promise<string | undefined> {
  const tip = readRef(context.repo, ref)
  if (start === undefined || start === tip) return tip
  const isNew = tip === undefined && start === mainOf(context)
  if (!isNew) await moveRef(context, ref, start, tip)
  return isNew ? undefined : start
}

/** Brings a session's earlier branch up to main, unless its held work conflicts with it. */
async function catchUp(
  context: WorkspaceContext,
  ref: string,
  tip: string,
  main: string
): Promise<string> {
  if (await isAncestor(context, main, tip)) return tip
  if (await isAncestor(context, tip, main)) {
    await moveRef(context, ref, main, tip)
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
  await moveRef(context, ref, commit, tip)
  return commit
}

/** Everything in the worktree as one commit on the job's branch; undefined when nothing differs. */
export async function commitJob(
  context: WorkspaceContext,
  options: CommitOptions,
  { afterCrash = false } = {}
): Promise<string | undefined> {
  await finishMove(context)
  const { ref, onJob, tip, commit: parent } = standing(context)
  if (!onJob) throw new Error('The worktree stands on no job branch')

  // Where this broke off before, the index may be ahead of the branch: then only the tree tells what differs.
  const ahead = afterCrash || context.memory.staging === true
  context.memory.staging = true
  const changed = (await stageAll(context)) || ahead
  const commit = changed ? await commitIndex(context, parent, options) : undefined
  if (commit !== undefined) await moveRef(context, ref, commit, tip)
  context.memory.staging = false
  settle(context, commit ?? parent)
  return commit
}

/** The worktree stands on main again and holds exactly its files. On main already, it stays untouched. */
export async function returnToMain(context: WorkspaceContext): Promise<void> {
  await finishMove(context)
  const { ref, main } = standing(context)
  if (ref === MAIN) return

  const { settled } = context.memory
  const fresh = settled && context.clock.monotonicMs() - settled.atMs < SETTLED_TRUST_MS
  if (fresh && settled.commit === main) writeHead(context.repo, MAIN)
  else await moveTo(context, MAIN, { clean: true })
  context.memory.settled = undefined
  context.memory.job = undefined
}

/** Takes a branch away, with all of its work that main does not have; not from under a job that works on it. */
export async function discardJob(context: WorkspaceContext, branch: string): Promise<void> {
  const ref = jobRef(branch)
  await finishMove(context)
  if (readHead(context.repo) === ref) {
    throw new AppError('job_not_mergeable', 'A job is working on this branch', { branch })
  }
  const tip = readRef(context.repo, ref)
  if (tip !== undefined) await context.git(['update-ref', '-d', ref, tip])
}

/**
 * After a crash: what lies in the worktree becomes a commit on the job branch that HEAD stands on, and the worktree
 * returns to main. Said again, it answers the same commit, which it knows by its `Job-Id`.
 */
export async function rescue(
  context: WorkspaceContext,
  branch: string,
  options: CommitOptions
): Promise<string | undefined> {
  await finishMove(context)
  const { ref, onJob } = standing(context)
  const rescued = ref === MAIN ? undefined : await leaveBranch(context, options)
  if (rescued !== undefined) return rescued

  const tip = readRef(context.repo, onJob ? ref : jobRef(branch))
  const job = options.trailers['Job-Id']
  if (tip === undefined || job === undefined) return undefined
  return (await jobOf(context, tip)) === job ? tip : undefined
}

async function leaveBranch(
  context: WorkspaceContext,
  options: CommitOptions
): Promise<string | undefined> {
  const { onJob } = standing(context)
  const commit = onJob ? await commitJob(context, options, { afterCrash: true }) : undefined
  await returnToMain(context)
  return commit
}
