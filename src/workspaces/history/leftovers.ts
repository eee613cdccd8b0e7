import { commitIndex, KILOWATT, moveRef } from './commits.ts'
import { mainOf, type WorkspaceContext } from './context.ts'
import { MAIN } from '../git/refs.ts'
import { stageAll } from './staging.ts'

/** Commits on main what lies uncommitted in a worktree that stands on main. One git command if nothing does. */
export async function commitLeftovers(context: WorkspaceContext): Promise<void> {
  const { out } = await context.git(['status', '--porcelain', '-z', '--untracked-files=all'], {
    // It may write down which files it found unchanged, so that the next look at them is quick.
    env: { GIT_OPTIONAL_LOCKS: '1' }
  })
  if (out === '') return

  await stageAll(context)
  const main = mainOf(context)
  const subject = 'Keep changes that were made in the worktree'
  const commit = await commitIndex(context, main, { subject, trailers: {}, author: KILOWATT })
  if (commit !== undefined) await moveRef(context, MAIN, commit, main)
}
