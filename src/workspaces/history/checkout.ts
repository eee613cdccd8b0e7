import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { WorkspaceContext } from './context.ts'
import { MAIN, readRef, writeHead } from '../git/refs.ts'

/**
 * Checks out a ref so that a crash at any step can be recovered: afterwards the worktree holds exactly the files of the
 * ref (ignored files stay) and HEAD names it.
 *
 *   settled ── 1 ──▶ pending ── 2 ──▶ refs moved ── 3 ──▶ files written ── 4 ──▶ HEAD written ── 5 ──▶ settled
 *
 *   1  write the marker file with the name of the ref
 *   2  `prepare`: the caller moves refs (main to a merge, for example)
 *   3  `read-tree --reset -u` writes index and files; `clean` removes untracked files
 *   4  HEAD names the ref
 *   5  remove the marker file
 *
 * Invariants:
 * - The marker exists before the first change and is removed after the last, so a mixed worktree is recognisable.
 * - Steps 3 to 5 are idempotent: recovery repeats all of them, whichever of them the crash interrupted.
 * - Files of a pending checkout are never committed as the work of a person or a job.
 *
 * What can go wrong:
 * - A crash before step 2: recovery checks out the ref as it was, so the caller's operation did not happen.
 * - A crash after step 2: recovery finishes the operation. Its caller got no answer and must treat it as unknown.
 * - A crash while the marker is being written leaves an empty marker. Nothing has changed yet; it is only removed.
 * - Recovery always removes untracked files, also when the interrupted checkout would have kept them (`clean: false`),
 *   because it cannot tell a person's new file from one that step 3 wrote. Callers that pass `clean: false` have
 *   committed the worktree's files before.
 * - A job branch without a commit has no ref to read; its files are those of main.
 */
export async function checkOutRef(
  context: WorkspaceContext,
  ref: string,
  options: { readonly clean: boolean; readonly prepare?: () => Promise<void> }
): Promise<void> {
  writeFileSync(context.pendingCheckout, ref)
  await options.prepare?.()
  await writeWorktree(context, ref, options.clean)
}

/** Finishes a checkout that a crash interrupted. Operations that change the worktree call it first. */
export async function finishPendingCheckout(context: WorkspaceContext): Promise<void> {
  if (!existsSync(context.pendingCheckout)) return
  const ref = readFileSync(context.pendingCheckout, 'utf8')
  context.log.warn({ ref }, 'checkout was interrupted, finishing it')
  if (ref === '') rmSync(context.pendingCheckout)
  else await writeWorktree(context, ref, true)
}

async function writeWorktree(
  context: WorkspaceContext,
  ref: string,
  clean: boolean
): Promise<void> {
  context.memory.knownClean = undefined
  const commit = readRef(context.repo, ref) ?? readRef(context.repo, MAIN)!
  await context.git(['read-tree', '--reset', '-u', commit])
  if (clean) await context.git(['clean', '-f', '-f', '-d', '-q'])
  writeHead(context.repo, ref)
  rmSync(context.pendingCheckout)
}
