import { AppError } from '#kernel/errors.ts'
import { openFolder } from './safe-open.ts'
import { inspectFile, type Entry } from './files.ts'

/** Looks at each of these paths without following a link, one folder open at a time. */
export async function inspectFiles<T>(
  worktree: string,
  paths: readonly string[],
  tell: (path: string, entry: Entry | undefined) => Promise<T>
): Promise<T[]> {
  const byFolder = Map.groupBy(paths, (path) => path.slice(0, path.lastIndexOf('/') + 1))
  const told: T[] = []
  for (const [prefix, inFolder] of byFolder) {
    using folder = openQuietly(worktree, prefix)
    for (const path of inFolder) {
      told.push(await tell(path, folder && inspectFile(folder, path.slice(prefix.length), path)))
    }
  }
  return told
}

/** A folder that has become a link since git saw it holds nothing of ours. */
function openQuietly(worktree: string, prefix: string) {
  try {
    return openFolder(worktree, prefix.split('/').slice(0, -1))
  } catch (error) {
    if (error instanceof AppError) return undefined
    throw error
  }
}
