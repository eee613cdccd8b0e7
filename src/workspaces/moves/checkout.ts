import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { AppError } from '#kernel/errors.ts'
import { unlinkFile } from '../files/files.ts'
import { openFolder } from '../files/safe-open.ts'
import { readRef, MAIN, writeHead } from '../git/refs.ts'
import { treeOf } from '../history/commits.ts'
import type { WorkspaceContext } from '../history/context.ts'
import { updateKeptOut } from './kept-out.ts'
import { findObstacles, putBack, setAside } from './obstacles.ts'
import { changesBetween, reversed, type TreeChange } from './tree-changes.ts'
import { mismatches } from './verify.ts'

/**
 * Moves the worktree from the files of one commit to those of another. It changes exactly the paths that differ between
 * the two: what git ignores, what a job left without committing it, and a person's other files stay where they are.
 *
 *   settled ── 1 ──▶ marked ── 2 ──▶ files written ── 3 ──▶ verified ── 4 ──▶ ref moved ── 5 ──▶ HEAD written ── 6 ──▶ settled
 *
 *   1  write the marker file: the ref, and the commits `from` and `to`
 *   2  give the owner the rights in the folders of these paths, set aside what is in the way, `read-tree -m -u`
 *   3  compare each path with `to`: git exits with 0 although it could not delete a file
 *   4  `publish`: the caller moves a ref to `to` (main to a merge, for example)
 *   5  HEAD names the ref
 *   6  remove the marker file
 *
 * Invariants:
 * - The marker exists before the first change and is removed after the last, so a mixed worktree is recognisable.
 * - A failure up to step 4 moves the files back and leaves every ref as it was; the caller's operation did not happen.
 * - Recovery reads the ref: at `to` it finishes the move, else it undoes it. Both are idempotent.
 * - Untracked files are never overwritten or deleted. One that lies where `to` has a file is renamed (`x` to `x.kept-1`),
 *   kept out of commits, and renamed back when the worktree has returned to main and the path is free. A merge refuses
 *   before it comes to that.
 *
 * What can go wrong:
 * - A crash before step 4: recovery moves the files back. After it: recovery finishes, and the caller, who got no
 *   answer, must treat its operation as unknown.
 * - A crash while the marker is being written leaves an empty marker. Nothing has changed yet; it is only removed.
 * - A crash while git writes a new file leaves a part of it, which recovery cannot tell from a person's file: it is set
 *   aside.
 * - A file that changes between the caller's look at the worktree and step 2 makes git refuse. Then the paths are written
 *   one by one, whatever they hold.
 * - A marker of an earlier version has only the ref; then all tracked files are written again.
 */
export interface Move {
  /** What HEAD names afterwards. */
  readonly ref: string
  /** The commit whose files index and worktree hold. */
  readonly from: string
  readonly to: string
  readonly publish?: () => void | Promise<void>
}

export async function moveWorktree(context: WorkspaceContext, move: Move): Promise<void> {
  const { ref, from, to, publish } = move
  context.memory.knownClean = undefined
  if (from === to || (await treeOf(context, from)) === (await treeOf(context, to))) {
    await publish?.()
    return writeHead(context.repo, ref)
  }
  const changes = await changesBetween(context, from, to)
  writeFileSync(context.pendingCheckout, JSON.stringify({ ref, from, to }))
  try {
    await writeChanges(context, changes, { from, to })
    await publish?.()
  } catch (error) {
    await forceChanges(context, reversed(changes), from)
    rmSync(context.pendingCheckout)
    throw error
  }
  settle(context, ref)
}

/** Finishes or undoes a move that a crash or a failure interrupted. Operations that change the worktree call it first. */
export async function finishPendingCheckout(context: WorkspaceContext): Promise<void> {
  if (!existsSync(context.pendingCheckout)) return
  const text = readFileSync(context.pendingCheckout, 'utf8')
  if (text === '') return rmSync(context.pendingCheckout)
  context.memory.knownClean = undefined
  const { ref, from, to } = parseMarker(text)
  const at = readRef(context.repo, ref) ?? readRef(context.repo, MAIN)!
  context.log.warn({ ref, from, to, at }, 'checkout was interrupted, recovering')
  if (from === undefined || to === undefined) {
    await context.git(['read-tree', '--reset', '-u', at])
    return settle(context, ref)
  }
  const changes = await changesBetween(context, from, to)
  if (at === to) {
    await forceChanges(context, changes, to)
    settle(context, ref)
  } else {
    await forceChanges(context, reversed(changes), from)
    rmSync(context.pendingCheckout)
  }
}

/** What HEAD is going to name when an interrupted move is recovered; undefined when HEAD stays as it is. */
export function refAfterRecovery(context: WorkspaceContext): string | undefined {
  const { ref, to } = parseMarker(readFileSync(context.pendingCheckout, 'utf8'))
  const isDone =
    to === undefined || (readRef(context.repo, ref) ?? readRef(context.repo, MAIN)) === to
  return ref !== '' && isDone ? ref : undefined
}

/** Puts the committed content of tracked files back, and sets aside what a job left at these paths instead. */
export async function restoreTracked(
  context: WorkspaceContext,
  paths: readonly string[]
): Promise<void> {
  const { out } = await context.git(['ls-files', '-z', '--', ...paths.slice(0, RESTORED_MAX)])
  const tracked = out.split('\0').filter((path) => path !== '')
  setAllAside(context, tracked)
  if (tracked.length > 0) await context.git(['restore', '--worktree'], { paths: tracked })
}

const RESTORED_MAX = 500

interface Marker {
  readonly ref: string
  readonly from?: string
  readonly to?: string
}

const parseMarker = (text: string): Marker =>
  text.startsWith('{') ? (JSON.parse(text) as Marker) : { ref: text }

function settle(context: WorkspaceContext, ref: string): void {
  writeHead(context.repo, ref)
  if (ref === MAIN) putAllBack(context)
  rmSync(context.pendingCheckout)
}

async function writeChanges(
  context: WorkspaceContext,
  changes: readonly TreeChange[],
  { from, to }: Pick<Move, 'from' | 'to'>
): Promise<void> {
  giveRights(context, changes)
  await clearTheWay(context, changes)
  const { code, err } = await context.git(['read-tree', '-m', '-u', from, to], {
    codes: [0, 1, 128]
  })
  if (code === 0 && (await mismatches(context, changes)).length === 0) return
  context.log.warn({ git: err.trim() }, 'git could not move the worktree, writing each file')
  await forceChanges(context, changes, to)
}

/** Gives these paths the content that `to` has, from any state between the two. */
async function forceChanges(
  context: WorkspaceContext,
  changes: readonly TreeChange[],
  to: string
): Promise<void> {
  giveRights(context, changes)
  for (const { path, new: now } of changes) if (!now) deleteFile(context, path)
  await clearTheWay(context, changes)
  await context.git(['read-tree', '--reset', to])
  const paths = changes.flatMap(({ path, new: now }) => (now ? [path] : []))
  if (paths.length > 0) await context.git(['restore', '--worktree'], { paths, codes: [0, 1, 128] })
  const wrong = await mismatches(context, changes)
  if (wrong.length === 0) return
  context.log.error({ paths: wrong.slice(0, 20) }, 'worktree could not be moved')
  throw new AppError('workspace_error', 'Files of the project could not be written or deleted', {
    paths: wrong.slice(0, 20)
  })
}

function deleteFile({ worktree }: WorkspaceContext, path: string): void {
  try {
    unlinkFile(worktree, path)
  } catch (error) {
    // A folder is at the path already, or a file or a link where its folder was: then the file is gone.
    if (!(error instanceof AppError)) throw error
  }
}

/** Undoing a file's change takes rights in its folder only; a folder that is gone is made by git. */
function giveRights({ worktree }: WorkspaceContext, changes: readonly TreeChange[]): void {
  const folders = new Set(changes.map(({ path }) => path.slice(0, path.lastIndexOf('/') + 1)))
  for (const folder of folders) {
    try {
      openFolder(worktree, folder.split('/').slice(0, -1), { writable: true })?.[Symbol.dispose]()
    } catch (error) {
      // A file or a link is where the folder was.
      if (!(error instanceof AppError)) throw error
    }
  }
}

async function clearTheWay(
  context: WorkspaceContext,
  changes: readonly TreeChange[]
): Promise<void> {
  setAllAside(context, await findObstacles(context, changes))
}

function setAllAside(context: WorkspaceContext, paths: readonly string[]): void {
  if (paths.length === 0) return
  const aside = paths.map((path) => ({ path, at: setAside(context.worktree, path) }))
  context.log.warn({ aside }, 'files in the way were set aside')
  updateKeptOut(context, (list) => ({
    left: [...list.left, ...aside.flatMap(({ at }) => [at, `${at}/`])],
    aside: [...list.aside, ...aside]
  }))
}

function putAllBack(context: WorkspaceContext): void {
  updateKeptOut(context, (list) => {
    const back = list.aside.filter((one) => putBack(context.worktree, one))
    const names = new Set(back.flatMap(({ at }) => [at, `${at}/`]))
    return {
      left: list.left.filter((entry) => !names.has(entry)),
      aside: list.aside.filter((one) => !back.includes(one))
    }
  })
}
