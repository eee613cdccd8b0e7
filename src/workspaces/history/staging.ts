import { randomUUID } from 'node:crypto'
import { copyFileSync, existsSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { leadsIntoGit } from '../files/paths.ts'
import type { WorkspaceContext } from './context.ts'

/**
 * An index entry that no file belongs to. Git takes a folder with a `.git` of its own for one opaque thing, and would
 * record only that repository's head; with an entry inside the folder it is a folder like any other. Openers live
 * only in copies of the index, and adding all files takes them out again.
 */
const OPENER = '.kilowatt-nested'
const EMPTY_BLOB = 'e69de29bb2d1d6434b8b29ae775ad8c2e48c5391'
const NESTING_MAX = 10

const LS_DIFFERENCES = [
  ...['ls-files', '-z', '-t', '--others', '--modified', '--deleted'],
  '--exclude-standard'
]

export interface Differences {
  readonly untracked: readonly string[]
  readonly modified: readonly string[]
  readonly deleted: readonly string[]
}

/** How the worktree differs from the index, ignored files and anything named `.git` aside. One git command. */
export async function differences(context: WorkspaceContext): Promise<Differences> {
  const { lines, nested } = await compare(context, {})
  if (nested.length === 0) return sortOut(lines)
  return withOpenIndex(context, nested, async (opened) => sortOut(opened.lines))
}

/**
 * Takes the worktree into the index, files of nested repositories as plain files. Answers whether that changed
 * anything. What cannot be stored (unreadable, or named like git's folder) stays out and is logged.
 */
export async function stageAll(context: WorkspaceContext): Promise<boolean> {
  const first = await addAll(context, {})
  if (first.code === 0 && first.links.length === 0) return first.changed

  if (first.links.length > 0) {
    await context.git(['update-index', '--force-remove', '--', ...first.links])
  }
  const { nested } = await compare(context, {})
  const second = await withOpenIndex(context, nested, async ({ index, env }) => {
    const added = await addAll(context, env)
    renameSync(index, join(context.repo, 'index'))
    return added
  })
  if (second.code !== 0) context.log.warn({ git: second.err.trim() }, 'some files cannot be stored')
  return first.changed || second.changed
}

type Env = Readonly<Record<string, string>>

async function compare(context: WorkspaceContext, env: Env) {
  const { out } = await context.git(LS_DIFFERENCES, { env })
  const lines = out.split('\0').filter((line) => line !== '')
  const nested = lines.filter((line) => line.endsWith('/')).map((line) => line.slice(2))
  return { lines, nested }
}

interface OpenIndex {
  readonly index: string
  readonly env: Env
  readonly lines: readonly string[]
}

/** Works with a copy of the index in which the folders of nested repositories, at any depth, are open. */
async function withOpenIndex<T>(
  context: WorkspaceContext,
  folders: readonly string[],
  work: (opened: OpenIndex) => Promise<T>
): Promise<T> {
  const index = join(context.aside, randomUUID())
  const env = { GIT_INDEX_FILE: index }
  try {
    const real = join(context.repo, 'index')
    if (existsSync(real)) copyFileSync(real, index)
    let seen = { lines: [] as string[], nested: [...folders] }
    for (let depth = 0; depth === 0 || (seen.nested.length > 0 && depth < NESTING_MAX); depth++) {
      await open(context, env, seen.nested)
      seen = await compare(context, env)
    }
    return await work({ index, env, lines: seen.lines })
  } finally {
    rmSync(index, { force: true })
  }
}

async function open(
  context: WorkspaceContext,
  env: Env,
  folders: readonly string[]
): Promise<void> {
  if (folders.length === 0) return
  const openers = folders.map((folder) => `100644,${EMPTY_BLOB},${folder}${OPENER}`)
  const entries = openers.flatMap((opener) => ['--cacheinfo', opener])
  await context.git(['update-index', '--add', ...entries], { env })
}

async function addAll(context: WorkspaceContext, env: Env) {
  const { code, out, err } = await context.git(['add', '--all', '--verbose', '--ignore-errors'], {
    env,
    codes: [0, 1, 128]
  })
  if (code === 128 && !err.includes('does not have a commit checked out')) {
    throw new Error(`git add: ${err.trim()}`)
  }
  const lines = out.split('\n').filter((line) => line !== '' && !line.endsWith(`/${OPENER}'`))
  const links = lines.filter((line) => /^add '.*\/'$/.test(line))
  return {
    code,
    err,
    changed: lines.length > links.length,
    links: links.map((line) => line.slice("add '".length, -"/'".length))
  }
}

/** A deleted file is told twice: as removed, and as changed. */
function sortOut(lines: readonly string[]): Differences {
  const told = (tag: string) =>
    lines
      .filter((line) => line.startsWith(tag) && isOurs(line.slice(2)))
      .map((line) => line.slice(2))
  const deleted = new Set(told('R '))
  return {
    untracked: told('? '),
    modified: told('C ').filter((path) => !deleted.has(path)),
    deleted: [...deleted]
  }
}

const isOurs = (path: string) =>
  !path.endsWith('/') && !path.endsWith(`/${OPENER}`) && !leadsIntoGit(path)
