import { AppError } from '#kernel/errors.ts'
import { isGitName } from './paths.ts'
import { entriesOf, type Kind } from './entries.ts'
import { openFolder } from './safe-open.ts'

/** An entry that git does not store: a pipe, a socket, a device, or a folder without files. */
export interface OtherEntry {
  readonly path: string
  readonly kind: Kind
}

/** Enough for every honest project; an agent can make any number of empty folders. */
const ENTRIES_MAX = 10_000

/**
 * Finds the entries that git does not list, besides the files that it does: in the folders of these files, and in folders
 * without any, unless they are ignored. Follows no link.
 */
export async function findOthers(
  worktree: string,
  files: readonly string[],
  ignoredOf: (folders: readonly string[]) => Promise<ReadonlySet<string>>
): Promise<OtherEntry[]> {
  const folders = new Set([''])
  for (const file of files) {
    for (let at = file.lastIndexOf('/'); at > 0; at = file.lastIndexOf('/', at - 1)) {
      const folder = file.slice(0, at)
      if (folders.has(folder)) break
      folders.add(folder)
    }
  }
  const found: OtherEntry[] = []
  const without: string[] = []
  for (const folder of folders) {
    for (const { path, kind } of othersIn(worktree, folder).entries) {
      if (kind !== 'folder') found.push({ path, kind })
      else if (!folders.has(path)) without.push(path)
    }
  }
  if (without.length === 0) return found.slice(0, ENTRIES_MAX)
  const ignored = await ignoredOf(without.slice(0, ENTRIES_MAX))
  for (const folder of without.slice(0, ENTRIES_MAX)) {
    if (!ignored.has(folder)) walk(worktree, folder, found)
  }
  return found.slice(0, ENTRIES_MAX)
}

/** A folder that git lists no file of: it is empty, or has entries that are ignored or that git cannot store. */
function walk(worktree: string, folder: string, found: OtherEntry[]): void {
  const waiting = [folder]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (found.length >= ENTRIES_MAX) return
    const { entries, isEmpty } = othersIn(worktree, next)
    if (isEmpty) found.push({ path: next, kind: 'folder' })
    for (const entry of entries) {
      if (entry.kind === 'folder') waiting.push(entry.path)
      else found.push(entry)
    }
  }
}

/** The folders and special entries in a folder. Files and links are git's to list; they count as none here. */
function othersIn(worktree: string, path: string) {
  try {
    using folder = openFolder(worktree, path === '' ? [] : path.split('/'))
    if (!folder) return NONE
    const all = entriesOf(folder)
    const entries = all.flatMap(({ name, kind }): OtherEntry[] => {
      if (kind === 'file' || kind === 'symlink' || isGitName(name)) return []
      return [{ path: path === '' ? name : `${path}/${name}`, kind }]
    })
    return { entries, isEmpty: all.length === 0 }
  } catch (error) {
    // Replaced by a link or closed against reading since its parent was read.
    if (error instanceof AppError) return NONE
    throw error
  }
}

const NONE: { entries: OtherEntry[]; isEmpty: boolean } = { entries: [], isEmpty: false }
