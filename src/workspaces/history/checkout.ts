import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { Place } from './context.ts'
import { MAIN, readRef, writeHead } from '../git/refs.ts'

/**
 * Takes the worktree to a ref: exactly its files, nothing untracked but what is ignored, HEAD on it. `prepare` moves
 * refs first. A crash anywhere in between is finished by `finishMove`, so a half-moved worktree is never taken for
 * somebody's work.
 */
export async function moveTo(
  place: Place,
  ref: string,
  options: { readonly clean: boolean; readonly prepare?: () => Promise<void> }
): Promise<void> {
  writeFileSync(place.moving, ref)
  await options.prepare?.()
  await checkOut(place, ref, options.clean)
}

/** Ends a move that a crash interrupted. To be called before anything looks at the worktree. */
export async function finishMove(place: Place): Promise<void> {
  if (!existsSync(place.moving)) return
  const ref = readFileSync(place.moving, 'utf8')
  place.log.warn({ ref }, 'finishing an interrupted move of the worktree')
  // Killed between making the marker and writing it: nothing has moved yet.
  if (ref === '') rmSync(place.moving)
  else await checkOut(place, ref, true)
}

async function checkOut(place: Place, ref: string, clean: boolean): Promise<void> {
  place.memory.settled = undefined
  const commit = readRef(place.repo, ref) ?? readRef(place.repo, MAIN)!
  await place.git(['read-tree', '--reset', '-u', commit])
  if (clean) await place.git(['clean', '-f', '-f', '-d', '-q'])
  writeHead(place.repo, ref)
  rmSync(place.moving)
}
