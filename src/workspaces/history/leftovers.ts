import { commitIndex, KILOWATT, moveRef } from './commits.ts'
import { mainOf, type WorkspaceContext } from './context.ts'
import { MAIN } from '../git/refs.ts'
import { stageAll } from './staging.ts'

/** Commits uncommitted changes on main. The worktree must be on main. Costs one git command when nothing changed. */
export async function commitLeftovers(context: WorkspaceContext): Promise<void> {
  const { out } = await context.git(['status', '--porcelain', '-z', '--untracked-files=all'], {
    // Lets git update the cached file times in the index, so that the next comparison is fast.
    env: { GIT_OPTIONAL_LOCKS: '1' }
  })
  if (out === '') return

  await stageAll(context)
  const main = mainOf(context)
  const subject = 'Keep changes that were made in the worktree'
  const commit = await commitIndex(context, main, { subject, trailers: {}, author: KILOWATT })
  if (commit !== undefined) await moveRef(context, MAIN, commit, main)
}
