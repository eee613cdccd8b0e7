import { randomUUID } from 'node:crypto'
import { copyFileSync, existsSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { leadsIntoGit } from '../files/paths.ts'
import { inspectFiles } from '../files/inspect.ts'
import { readWorktreeHead, type WorkspaceContext } from './context.ts'
import { matcherOf, readKeptOut } from '../moves/kept-out.ts'

/**
 * Compares the worktree with the index, and stages it, including files of repositories that lie inside it.
 *
 * The problem: git treats a folder with a `.git` of its own as a submodule. It lists the folder instead of its files,
 * and `git add` records only the commit of its HEAD (a *link*, mode 160000), so its files would be missing.
 *
 * The way around it: once the index has an entry below a folder, git treats the folder as an ordinary one. So the index
 * is copied, a placeholder entry (a path for which no file exists) is added in each nested repository, and git runs
 * with the copy. Repositories can be nested in each other, so this repeats up to `NESTING_MAX` levels.
 *
 *   real index ── copy ──▶ copy ── placeholders ──▶ open copy ── git add ──▶ staged copy ── rename ──▶ real index
 *
 * Invariants:
 * - Placeholders exist only in copies. `git add --all` removes them, because no file exists for them, so the copy that
 *   becomes the real index has none, and no commit can contain one.
 * - The real index is replaced by one rename, so a crash leaves the old or the new index, plus at most a file in the
 *   staging folder.
 * - Paths that lead into `.git`, in any spelling of it, are never reported.
 *
 * What can go wrong:
 * - `git add` exits with 1 for files that it cannot store: it stages the others, and what remains is left out. A tracked
 *   file that has become a pipe is such a file for git; it is deleted from the index.
 * - `git add` exits with 128 for a nested repository without a commit, perhaps before it has staged the other files. The
 *   second run, on the copy with placeholders, stages them. Any other 128 is an error.
 * - Repositories nested more deeply than `NESTING_MAX` are recorded without their files.
 * - The agent can change files between two git commands. The result is then a mixture of two states, as it is for any
 *   reader of a folder in use; the next commit has the rest.
 */
const PLACEHOLDER = '.kilowatt-nested'
const EMPTY_BLOB = 'e69de29bb2d1d6434b8b29ae775ad8c2e48c5391'
const NESTING_MAX = 10

const LS_DIFFERENCES = ['ls-files', '-z', '-t', '--others', '--modified', '--deleted']
/** Ignore files and the list of what is kept out. */
const STANDARD = '--exclude-standard'
const IGNORE_FILES = '--exclude-per-directory=.gitignore'

export interface Differences {
  readonly untracked: readonly string[]
  readonly modified: readonly string[]
  readonly deleted: readonly string[]
}

/** Compares the worktree with the index, without ignored files and anything named `.git`. Usually one git command. */
export async function differences(
  context: WorkspaceContext,
  { withKeptOut = false }: { readonly withKeptOut?: boolean } = {}
): Promise<Differences> {
  const { lines, nested } = await compare(context, {}, withKeptOut ? IGNORE_FILES : STANDARD)
  if (nested.length === 0) return parseDifferences(lines)
  return withOpenIndex(context, nested, async (opened) => parseDifferences(opened.lines))
}

/**
 * Stages the whole worktree, with the files of nested repositories as ordinary files, and without what is kept out.
 * Returns whether the index changed. Files that git cannot store (unreadable, or named like git's folder) are excluded;
 * `memory.leftOut` has their paths. A tracked file that a pipe, a socket or a folder has replaced is deleted.
 */
export async function stageAll(context: WorkspaceContext): Promise<boolean> {
  context.memory.leftOut = []
  const first = await addAll(context, {})
  if (first.code === 0 && first.links.length === 0) return withoutKeptOut(context, first)

  if (first.links.length > 0) {
    await context.git(['update-index', '--force-remove', '--', ...first.links])
  }
  const { nested } = await compare(context, {})
  const second = await withOpenIndex(context, nested, async ({ index, env }) => {
    const added = await addAll(context, env)
    renameSync(index, join(context.repo, 'index'))
    return added
  })
  const replaced = second.code === 0 ? [] : await settleOthers(context, second.err)
  const paths = [...first.paths, ...second.paths]
  const changed = first.changed || second.changed || replaced.length > 0
  return withoutKeptOut(context, { paths, changed })
}

/** Deletes tracked files that have become something else from the index, and notes what git could not stage. */
async function settleOthers(context: WorkspaceContext, err: string): Promise<string[]> {
  const { untracked, modified } = parseDifferences((await compare(context, {})).lines)
  const inspected = await inspectFiles(context.worktree, modified, async (path, entry) =>
    entry ? undefined : path
  )
  const replaced = inspected.filter((path) => path !== undefined)
  await forceRemove(context, replaced)
  const isReplaced = new Set(replaced)
  const isKeptOut = matcherOf(readKeptOut(context))
  const leftOut = [...untracked, ...modified].filter(
    (path) => !isReplaced.has(path) && !isKeptOut(path)
  )
  context.memory.leftOut = leftOut
  if (leftOut.length > 0) {
    context.log.warn(
      { paths: leftOut.slice(0, 20), git: err.trim() },
      'git could not stage some files'
    )
  }
  return replaced
}

/**
 * Takes new entries that are kept out, or whose name is no UTF-8, from the index again: a pattern of the worktree's ignore files can precede the list.
 * Returns whether the index changed.
 */
async function withoutKeptOut(
  context: WorkspaceContext,
  { paths, changed }: Pick<Added, 'paths' | 'changed'>
): Promise<boolean> {
  const list = readKeptOut(context)
  const isKeptOut = matcherOf(list)
  // A name with a line break is on several lines of git's output.
  const isUnclear = [...list.ignored, ...list.left].some((entry) => entry.includes('\n'))
  const isBarred = (path: string) => isKeptOut(path) || !path.isWellFormed()
  if (!isUnclear && !paths.some(isBarred)) return changed

  const { commit } = readWorktreeHead(context)
  const { out } = await context.git([
    'diff-index',
    '--cached',
    '--name-only',
    '--diff-filter=A',
    '-z',
    commit
  ])
  const barred = out.split('\0').filter((path) => path !== '' && isBarred(path))
  await forceRemove(context, barred)
  const left = barred.filter((path) => !isKeptOut(path))
  context.memory.leftOut = [...(context.memory.leftOut ?? []), ...left]
  return changed
}

const REMOVED_AT_ONCE = 500

async function forceRemove(context: WorkspaceContext, paths: readonly string[]): Promise<void> {
  for (let at = 0; at < paths.length; at += REMOVED_AT_ONCE) {
    const some = paths.slice(at, at + REMOVED_AT_ONCE)
    await context.git(['update-index', '--force-remove', '--', ...some])
  }
}

type Env = Readonly<Record<string, string>>

async function compare(context: WorkspaceContext, env: Env, rules = STANDARD) {
  const { out } = await context.git([...LS_DIFFERENCES, rules], { env })
  const lines = out.split('\0').filter((line) => line !== '')
  const nested = lines.filter((line) => line.endsWith('/')).map((line) => line.slice(2))
  return { lines, nested }
}

interface OpenIndex {
  readonly index: string
  readonly env: Env
  readonly lines: readonly string[]
}

/** Calls `work` with a copy of the index that has a placeholder in each nested repository. */
async function withOpenIndex<T>(
  context: WorkspaceContext,
  folders: readonly string[],
  work: (opened: OpenIndex) => Promise<T>
): Promise<T> {
  const index = join(context.stagingDir, randomUUID())
  const env = { GIT_INDEX_FILE: index }
  try {
    const real = join(context.repo, 'index')
    if (existsSync(real)) copyFileSync(real, index)
    let found = { lines: [] as string[], nested: [...folders] }
    for (let depth = 0; depth === 0 || (found.nested.length > 0 && depth < NESTING_MAX); depth++) {
      await addPlaceholders(context, env, found.nested)
      found = await compare(context, env)
    }
    return await work({ index, env, lines: found.lines })
  } finally {
    rmSync(index, { force: true })
  }
}

async function addPlaceholders(
  context: WorkspaceContext,
  env: Env,
  folders: readonly string[]
): Promise<void> {
  if (folders.length === 0) return
  const placeholders = folders.map((folder) => `100644,${EMPTY_BLOB},${folder}${PLACEHOLDER}`)
  const entries = placeholders.flatMap((placeholder) => ['--cacheinfo', placeholder])
  await context.git(['update-index', '--add', ...entries], { env })
}

interface Added {
  readonly code: number
  readonly err: string
  readonly changed: boolean
  /** What git added to the index, without nested repositories. */
  readonly paths: readonly string[]
  readonly links: readonly string[]
}

async function addAll(context: WorkspaceContext, env: Env): Promise<Added> {
  const { code, out, err } = await context.git(['add', '--all', '--verbose', '--ignore-errors'], {
    env,
    codes: [0, 1, 128]
  })
  if (code === 128 && !err.includes('does not have a commit checked out')) {
    throw new Error(`git add: ${err.trim()}`)
  }
  const lines = out.split('\n').filter((line) => line !== '' && !line.endsWith(`/${PLACEHOLDER}'`))
  const links = lines.filter((line) => /^add '.*\/'$/.test(line))
  const added = lines.filter((line) => line.startsWith("add '") && !line.endsWith("/'"))
  return {
    code,
    err,
    changed: lines.length > links.length,
    paths: added.map((line) => line.slice("add '".length, -1)),
    links: links.map((line) => line.slice("add '".length, -"/'".length))
  }
}

/** git lists a deleted file twice: as removed, and as changed. */
function parseDifferences(lines: readonly string[]): Differences {
  const pathsOf = (tag: string) =>
    lines
      .filter((line) => line.startsWith(tag) && isReported(line.slice(2)))
      .map((line) => line.slice(2))
  const deleted = new Set(pathsOf('R '))
  return {
    untracked: pathsOf('? '),
    modified: pathsOf('C ').filter((path) => !deleted.has(path)),
    deleted: [...deleted]
  }
}

const isReported = (path: string) =>
  !path.endsWith('/') && !path.endsWith(`/${PLACEHOLDER}`) && !leadsIntoGit(path)
