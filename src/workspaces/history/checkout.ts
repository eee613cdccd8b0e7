import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { WorkspaceContext } from './context.ts'
import { MAIN, readRef, writeHead } from '../git/refs.ts'

/**
 * Takes the worktree to a ref: exactly its files, nothing untracked but what is ignored, HEAD on it. `prepare` moves
 * refs first. A crash anywhere in between is finished by `finishMove`, so a half-moved worktree is never taken for
 * somebody's work.
 */
export async function moveTo(
  context: WorkspaceContext,
  ref: string,
  options: { readonly clean: boolean; readonly prepare?: () => Promise<void> }
): Promise<void> {
  writeFileSync(context.moving, ref)
  await options.prepare?.()
  await checkOut(context, ref, options.clean)
}

/** Ends a move that a crash interrupted. To be called before anything looks at the worktree. */
export async function finishMove(context: WorkspaceContext): Promise<void> {
  if (!existsSync(context.moving)) return
  const ref = readFileSync(context.moving, 'utf8')
  context.log.warn({ ref }, 'finishing an interrupted move of the worktree')
  // Killed between making the marker and writing it: nothing has moved yet.
  if (ref === '') rmSync(context.moving)
  else await checkOut(context, ref, true)
}

async function checkOut(context: WorkspaceContext, ref: string, clean: boolean): Promise<void> {
  context.memory.settled = undefined
  const commit = readRef(context.repo, ref) ?? readRef(context.repo, MAIN)!
  await context.git(['read-tree', '--reset', '-u', commit])
  if (clean) await context.git(['clean', '-f', '-f', '-d', '-q'])
  writeHead(context.repo, ref)
  rmSync(context.moving)
}
