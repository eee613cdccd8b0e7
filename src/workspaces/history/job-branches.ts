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
import { mainOf, settle, standing, type Place } from './context.ts'
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
  place: Place,
  branch: string,
  { job, from }: StartOptions = {}
): Promise<{ base: string }> {
  const ref = jobRef(branch)
  await finishMove(place)
  if (readHead(place.repo) !== MAIN) await leaveBranch(place, LEFT_BY_A_CRASH)
  await commitLeftovers(place)

  const main = mainOf(place)
  const start = from === 'main' ? main : from?.commit
  const tip = await turnBack(place, ref, start)
  const base = tip === undefined || tip === main ? main : await catchUp(place, ref, tip, main)
  if (base === main) writeHead(place.repo, ref)
  else await moveTo(place, ref, { clean: false })

  place.memory.job = job
  place.memory.settled = undefined
  return { base }
}

/** The branch is at `start` again. What it had besides is in nobody's way, and still there under its commit's id. */
async function turnBack(
  place: Place,
  ref: string,
  start: string | undefined
): Promise<string | undefined> {
  const tip = readRef(place.repo, ref)
  if (start === undefined || start === tip) return tip
  const isNew = tip === undefined && start === mainOf(place)
  if (!isNew) await moveRef(place, ref, start, tip)
  return isNew ? undefined : start
}

/** Brings a session's earlier branch up to main, unless its held work conflicts with it. */
async function catchUp(place: Place, ref: string, tip: string, main: string): Promise<string> {
  if (await isAncestor(place, main, tip)) return tip
  if (await isAncestor(place, tip, main)) {
    await moveRef(place, ref, main, tip)
    return main
  }
  const merged = await mergeTrees(place, tip, main)
  if (merged.kind === 'conflict') return tip
  const message = "Merge main into the session's work"
  const commit = await writeCommit(place, {
    tree: merged.tree,
    parents: [tip, main],
    author: KILOWATT,
    message
  })
  await moveRef(place, ref, commit, tip)
  return commit
}

/** Everything in the worktree as one commit on the job's branch; undefined when nothing differs. */
export async function commitJob(
  place: Place,
  options: CommitOptions,
  { afterCrash = false } = {}
): Promise<string | undefined> {
  await finishMove(place)
  const { ref, onJob, tip, commit: parent } = standing(place)
  if (!onJob) throw new Error('The worktree stands on no job branch')

  // Where this broke off before, the index may be ahead of the branch: then only the tree tells what differs.
  const ahead = afterCrash || place.memory.staging === true
  place.memory.staging = true
  const changed = (await stageAll(place)) || ahead
  const commit = changed ? await commitIndex(place, parent, options) : undefined
  if (commit !== undefined) await moveRef(place, ref, commit, tip)
  place.memory.staging = false
  settle(place, commit ?? parent)
  return commit
}

/** The worktree stands on main again and holds exactly its files. On main already, it stays untouched. */
export async function returnToMain(place: Place): Promise<void> {
  await finishMove(place)
  const { ref, main } = standing(place)
  if (ref === MAIN) return

  const { settled } = place.memory
  const fresh = settled && place.clock.monotonicMs() - settled.atMs < SETTLED_TRUST_MS
  if (fresh && settled.commit === main) writeHead(place.repo, MAIN)
  else await moveTo(place, MAIN, { clean: true })
  place.memory.settled = undefined
  place.memory.job = undefined
}

/** Takes a branch away, with all of its work that main does not have; not from under a job that works on it. */
export async function discardJob(place: Place, branch: string): Promise<void> {
  const ref = jobRef(branch)
  await finishMove(place)
  if (readHead(place.repo) === ref) {
    throw new AppError('job_not_mergeable', 'A job is working on this branch', { branch })
  }
  const tip = readRef(place.repo, ref)
  if (tip !== undefined) await place.git(['update-ref', '-d', ref, tip])
}

/**
 * After a crash: what lies in the worktree becomes a commit on the job branch that HEAD stands on, and the worktree
 * returns to main. Said again, it answers the same commit, which it knows by its `Job-Id`.
 */
export async function rescue(
  place: Place,
  branch: string,
  options: CommitOptions
): Promise<string | undefined> {
  await finishMove(place)
  const { ref, onJob } = standing(place)
  const rescued = ref === MAIN ? undefined : await leaveBranch(place, options)
  if (rescued !== undefined) return rescued

  const tip = readRef(place.repo, onJob ? ref : jobRef(branch))
  const job = options.trailers['Job-Id']
  if (tip === undefined || job === undefined) return undefined
  return (await jobOf(place, tip)) === job ? tip : undefined
}

async function leaveBranch(place: Place, options: CommitOptions): Promise<string | undefined> {
  const { onJob } = standing(place)
  const commit = onJob ? await commitJob(place, options, { afterCrash: true }) : undefined
  await returnToMain(place)
  return commit
}
