import { readdirSync } from 'node:fs'
import { isGitName } from '../files/paths.ts'
import { openFolder } from '../files/safe-open.ts'
import { commitIndex, KILOWATT, moveRef } from './commits.ts'
import { mainOf, type WorkspaceContext } from './context.ts'
import { keepOut } from '../moves/kept-out.ts'
import { MAIN } from '../git/refs.ts'
import { stageAll } from './staging.ts'

/**
 * Commits uncommitted changes on main, which must be the branch of the worktree: what tools of people wrote while no job
 * ran. What is kept out stays out. Returns the ignored entries, with a `/` behind a folder that is ignored as a whole.
 * Costs one git command when nothing changed.
 */
export async function commitLeftovers(context: WorkspaceContext): Promise<readonly string[]> {
  const { out } = await context.git(STATUS, {
    // Lets git update the cached file times in the index, so that the next comparison is fast.
    env: { GIT_OPTIONAL_LOCKS: '1' }
  })
  const lines = out.split('\0').filter((line) => line !== '')
  const ignored = lines.flatMap((line) => (line.startsWith('!! ') ? [line.slice(3)] : []))
  if (ignored.length === lines.length) return ignored

  await stageAll(context)
  const main = mainOf(context)
  const subject = 'Keep changes that were made in the worktree'
  const commit = await commitIndex(context, main, { subject, trailers: {}, author: KILOWATT })
  if (commit !== undefined) moveRef(context, MAIN, commit, main)
  return ignored
}

const STATUS = [
  'status',
  '--porcelain',
  '-z',
  '--no-renames',
  '--untracked-files=all',
  '--ignored=matching'
]

/** Keeps untracked files out of later commits: a job wrote them and did not commit them. */
export async function keepOutUntracked(context: WorkspaceContext): Promise<void> {
  const { out } = await context.git([
    'ls-files',
    '-z',
    '--others',
    '--directory',
    '--no-empty-directory',
    '--exclude-standard'
  ])
  const paths = out.split('\0').filter((path) => path !== '')
  keepOut(
    context,
    paths.filter((path) => !path.endsWith('/') || !isEmptyRepository(context, path))
  )
}

/** A repository that a job left behind without its files, which are on the job's branch. */
function isEmptyRepository({ worktree }: WorkspaceContext, path: string): boolean {
  using folder = openFolder(worktree, path.split('/').slice(0, -1))
  return !folder || readdirSync(folder.nameOf('.')).every(isGitName)
}
