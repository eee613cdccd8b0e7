import { AppError } from '#kernel/errors.ts'
import { openFolder } from './safe-open.ts'
import { inspectFile, type Entry } from './files.ts'

/** Inspects paths without following links. Opens one folder at a time, and calls `describe` for each of its paths. */
export async function inspectFiles<T>(
  worktree: string,
  paths: readonly string[],
  describe: (path: string, entry: Entry | undefined) => Promise<T>
): Promise<T[]> {
  const byFolder = Map.groupBy(paths, (path) => path.slice(0, path.lastIndexOf('/') + 1))
  const results: T[] = []
  for (const [prefix, inFolder] of byFolder) {
    using folder = openIfFolder(worktree, prefix)
    for (const path of inFolder) {
      results.push(
        await describe(path, folder && inspectFile(folder, path.slice(prefix.length), path))
      )
    }
  }
  return results
}

/** Undefined when the folder was replaced by a link since git listed it: its content is outside the project. */
function openIfFolder(worktree: string, prefix: string) {
  try {
    return openFolder(worktree, prefix.split('/').slice(0, -1))
  } catch (error) {
    if (error instanceof AppError) return undefined
    throw error
  }
}
