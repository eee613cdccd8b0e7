import type { WorkspaceContext } from '../history/context.ts'

/** One side of a change; undefined where the path does not exist. */
export interface Side {
  /** git's mode: `100644`, `100755`, `120000` for a symbolic link, `160000` for a submodule. */
  readonly mode: string
  readonly sha: string
}

export interface TreeChange {
  readonly path: string
  readonly old: Side | undefined
  readonly new: Side | undefined
}

const ABSENT = '000000'

/** The paths whose files differ between two commits. Folders are no paths of their own. */
export async function changesBetween(
  context: WorkspaceContext,
  from: string,
  to: string
): Promise<TreeChange[]> {
  if (from === to) return []
  const { out } = await context.git(['diff-tree', '-r', '-z', '--no-renames', from, to])
  const words = out.split('\0')
  const changes: TreeChange[] = []
  for (let at = 0; at + 1 < words.length; at += 2) {
    const [oldMode = '', newMode = '', oldSha = '', newSha = ''] = words[at]!.slice(1).split(' ')
    changes.push({
      path: words[at + 1]!,
      old: oldMode === ABSENT ? undefined : { mode: oldMode, sha: oldSha },
      new: newMode === ABSENT ? undefined : { mode: newMode, sha: newSha }
    })
  }
  return changes
}

export const reversed = (changes: readonly TreeChange[]): TreeChange[] =>
  changes.map(({ path, old, new: now }) => ({ path, old: now, new: old }))
