import { inspectFiles } from '../files/inspect.ts'
import type { WorkspaceContext } from '../history/context.ts'
import type { TreeChange } from './tree-changes.ts'

const SUBMODULE = '160000'
const EXECUTABLE = '100755'
const LINK = '120000'

/**
 * The paths of these changes that are not in the worktree as the new side has them: `git read-tree -u` exits with 0
 * although it could not delete a file.
 */
export async function mismatches(
  { worktree }: Pick<WorkspaceContext, 'worktree'>,
  changes: readonly TreeChange[]
): Promise<string[]> {
  const expected = new Map(changes.map(({ path, new: now }) => [path, now]))
  const found = await inspectFiles(worktree, [...expected.keys()], async (path, entry) => {
    const side = expected.get(path)
    if (side?.mode === SUBMODULE) return undefined
    if (!side || !entry) return side || entry ? path : undefined
    const isLike =
      entry.isLink === (side.mode === LINK) && entry.executable === (side.mode === EXECUTABLE)
    return isLike && (await entry.sha()) === side.sha ? undefined : path
  })
  return found.filter((path) => path !== undefined)
}
