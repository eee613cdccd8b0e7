import { lstatSync, renameSync, type Stats } from 'node:fs'
import { entriesOf } from '../files/entries.ts'
import { codeOf, openFolder } from '../files/safe-open.ts'
import { inspectFiles } from '../files/inspect.ts'
import { MAIN } from '../git/refs.ts'
import { readWorktreeHead, type WorkspaceContext } from '../history/context.ts'
import { matcherOf, readKeptOut } from './kept-out.ts'
import { changesBetween, type TreeChange } from './tree-changes.ts'

/**
 * Untracked entries of the worktree that lie where a change has to write a file: git overwrites them without a word when
 * they are ignored, and refuses the whole move when they are not. Each is the path of the file, link or folder that is
 * in the way. A file that has the new content already is none.
 */
export async function findObstacles(
  { worktree }: Pick<WorkspaceContext, 'worktree'>,
  changes: readonly TreeChange[]
): Promise<string[]> {
  const tracked = new Set(changes.flatMap(({ path, old }) => (old ? [path] : [])))
  const look = createLookUp(worktree)
  const found = new Set<string>()
  const candidates = new Map<string, string>()
  for (const { path, old, new: now } of changes) {
    if (!now || old) continue
    const at = look(path)
    if (!at || tracked.has(at.path)) continue
    if (at.stats.isDirectory()) {
      if (holdsOthers(worktree, path, tracked)) found.add(path)
    } else if (at.path === path) candidates.set(path, now.sha)
    else found.add(at.path)
  }
  await inspectFiles(worktree, [...candidates.keys()], async (path, entry) => {
    if ((await entry?.sha()) !== candidates.get(path)) found.add(path)
  })
  return [...found]
}

/**
 * Files that main may not get, because files that are ignored or kept out lie at their paths: a person's `.env` is not
 * overwritten by a branch that has one. `to` is a commit or a tree.
 */
export async function blockedPaths(
  context: WorkspaceContext,
  from: string,
  to: string
): Promise<string[]> {
  const { ref, commit } = readWorktreeHead(context)
  // The running job has just committed these files, and they are in the worktree.
  if (commit === to && context.memory.knownClean?.commit === to) return []
  const obstacles = await findObstacles(context, await changesBetween(context, from, to))
  if (obstacles.length === 0 || ref === MAIN) return obstacles
  // What the running job has at these paths is its own work.
  const isKeptOut = matcherOf(readKeptOut(context))
  return obstacles.filter((path) => isKeptOut(path) || isKeptOut(`${path}/`))
}

const SUFFIX = '.kept-'

/** Renames an entry to a free name beside it, and returns that name. */
export function setAside(worktree: string, path: string): string {
  const segments = path.split('/')
  const leaf = segments.pop()!
  using folder = openFolder(worktree, segments, { writable: true })
  if (!folder) throw new Error(`${path} is gone`)
  const prefix = path.slice(0, path.length - leaf.length)
  for (let n = 1; ; n++) {
    const name = `${leaf.slice(0, NAME_CHARS_MAX)}${SUFFIX}${n}`
    if (lstatSync(folder.nameOf(name), { throwIfNoEntry: false })) continue
    renameSync(folder.nameOf(leaf), folder.nameOf(name))
    return prefix + name
  }
}

/** Renames an entry back to where it was, unless something else is there now. */
export function putBack(worktree: string, { path, at }: { path: string; at: string }): boolean {
  const segments = path.split('/')
  const leaf = segments.pop()!
  using folder = openFolder(worktree, segments, { writable: true })
  const aside = at.slice(at.lastIndexOf('/') + 1)
  if (!folder || lstatSync(folder.nameOf(leaf), { throwIfNoEntry: false })) return false
  if (!lstatSync(folder.nameOf(aside), { throwIfNoEntry: false })) return false
  renameSync(folder.nameOf(aside), folder.nameOf(leaf))
  return true
}

/** So that the name with its suffix has at most 255 bytes. */
const NAME_CHARS_MAX = 60

/** The first entry on the way to a path that is no folder, or what is at the path; undefined when that is nothing. */
function createLookUp(worktree: string) {
  const folders = new Map<string, Stats | undefined>()
  const lookAt = (path: string): Stats | undefined => {
    const slash = path.lastIndexOf('/')
    try {
      using folder = openFolder(
        worktree,
        path.slice(0, Math.max(slash, 0)).split('/').filter(Boolean)
      )
      return folder && lstatSync(folder.nameOf(path.slice(slash + 1)), { throwIfNoEntry: false })
    } catch (error) {
      if (codeOf((error as Error).cause) === undefined) throw error
      return undefined
    }
  }
  return (path: string): { path: string; stats: Stats } | undefined => {
    for (let at = path.indexOf('/'); at >= 0; at = path.indexOf('/', at + 1)) {
      const parent = path.slice(0, at)
      if (!folders.has(parent)) folders.set(parent, lookAt(parent))
      const stats = folders.get(parent)
      if (!stats) return undefined
      if (!stats.isDirectory()) return { path: parent, stats }
    }
    const stats = lookAt(path)
    return stats && { path, stats }
  }
}

/** Whether a folder has a file that is not among the tracked ones. */
function holdsOthers(worktree: string, path: string, tracked: ReadonlySet<string>): boolean {
  using folder = openFolder(worktree, path.split('/'))
  return (folder ? entriesOf(folder) : []).some(({ name, kind }) => {
    const below = `${path}/${name}`
    return kind === 'folder' ? holdsOthers(worktree, below, tracked) : !tracked.has(below)
  })
}
