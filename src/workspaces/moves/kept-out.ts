import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { encodeName } from '../files/names.ts'
import type { WorkspaceContext } from '../history/context.ts'

/**
 * Entries of the worktree that no commit of the server's own may include: what was ignored when a job started, and what
 * a job left behind without committing it. A folder ends in `/` and stands for everything untracked in it; tracked
 * files below it stay tracked. They are kept apart because a person's change of an ignore file decides about the
 * ignored ones, and only a person's save or removal about the others.
 *
 * The list is git's `info/exclude`, so that every command leaves these entries out. Patterns of a `.gitignore` take
 * precedence over it, and a name with a line break cannot be written in it; so `stageAll` checks afterwards. The first
 * line of the file is the list itself: patterns cannot be turned back into names.
 */
export interface KeptOut {
  readonly ignored: readonly string[]
  readonly left: readonly string[]
  /** Entries that a branch had to have out of the way: where they belong, and where they are until then. */
  readonly aside: readonly { readonly path: string; readonly at: string }[]
}

const NONE: KeptOut = { ignored: [], left: [], aside: [] }
const PREFIX = '# kilowatt: '
const HEADER_MAX = 1

const pathOf = ({ repo }: Pick<WorkspaceContext, 'repo'>) => join(repo, 'info', 'exclude')

export function readKeptOut(context: Pick<WorkspaceContext, 'repo'>): KeptOut {
  const [first = ''] = readText(pathOf(context)).split('\n', HEADER_MAX)
  if (!first.startsWith(PREFIX)) return NONE
  try {
    return { ...NONE, ...(JSON.parse(first.slice(PREFIX.length)) as Partial<KeptOut>) }
  } catch {
    return NONE
  }
}

/** Replaces a part of the list. Writes nothing when it stays the same. */
export function updateKeptOut(
  context: Pick<WorkspaceContext, 'repo'>,
  change: (list: KeptOut) => Partial<KeptOut>
): void {
  const before = readKeptOut(context)
  const { ignored, left, aside } = { ...before, ...change(before) }
  const kept = new Set(left)
  const list: KeptOut = {
    ignored: unique(ignored.filter((entry) => !kept.has(entry))),
    left: unique(left),
    aside
  }
  if (JSON.stringify(list) === JSON.stringify(before)) return

  const patterns = [...list.ignored, ...list.left].filter((entry) => !/[\n\r]/.test(entry))
  const lines = [PREFIX + JSON.stringify(list), ...patterns.map(patternOf), '']
  const path = pathOf(context)
  mkdirSync(join(context.repo, 'info'), { recursive: true })
  writeFileSync(`${path}.new`, encodeName(lines.join('\n')))
  renameSync(`${path}.new`, path)
}

/** Adds entries that a job left behind. */
export const keepOut = (context: Pick<WorkspaceContext, 'repo'>, entries: readonly string[]) =>
  updateKeptOut(context, ({ left }) => ({ left: [...left, ...entries] }))

/** A person decided about this path: entries that are or contain it are no longer kept out. */
export function release(context: Pick<WorkspaceContext, 'repo'>, path: string): void {
  const others = (entries: readonly string[]) =>
    entries.filter((entry) => entry !== path && !(entry.endsWith('/') && path.startsWith(entry)))
  updateKeptOut(context, ({ ignored, left }) => ({
    ignored: others(ignored),
    left: others(left)
  }))
}

/** Whether an untracked path is kept out. */
export function matcherOf({ ignored, left }: KeptOut): (path: string) => boolean {
  const entries = new Set([...ignored, ...left])
  if (entries.size === 0) return () => false
  return (path) => {
    if (entries.has(path)) return true
    for (let at = path.indexOf('/'); at >= 0; at = path.indexOf('/', at + 1)) {
      if (entries.has(path.slice(0, at + 1))) return true
    }
    return false
  }
}

/** The pattern that matches exactly this entry. */
const patternOf = (entry: string) =>
  `/${entry.replace(/[\\*?[]/g, '\\$&').replace(/ +$/, (spaces) => '\\ '.repeat(spaces.length))}`

const unique = (entries: readonly string[]) => [...new Set(entries)].sort()

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
