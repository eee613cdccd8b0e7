import type { FileStatus } from '#kernel/frames.ts'
import { AppError } from '#kernel/errors.ts'
import { leadsIntoGit } from '../files/paths.ts'
import { mainOf, markClean, readWorktreeHead, type WorkspaceContext } from './context.ts'
import { matcherOf, readKeptOut } from '../moves/kept-out.ts'
import { isJobRef, MAIN, readRef } from '../git/refs.ts'
import type { Kind } from '../files/entries.ts'
import type { Entry } from '../files/files.ts'
import { inspectFiles } from '../files/inspect.ts'
import { findOthers } from '../files/other-entries.ts'
import { differences } from './staging.ts'

export interface FileEntry {
  readonly path: string
  /** The path is escaped, because its name is no UTF-8. */
  readonly pathEncoding?: 'percent'
  readonly size: number
  /** The blob id; null for what git does not store: a pipe, a socket, a device or an empty folder. */
  readonly sha: string | null
  readonly kind: Kind
  /** Of a symbolic link of the worktree. */
  readonly target?: string
}

export interface Listing {
  readonly head: string
  readonly files: readonly FileEntry[]
}

/**
 * The current tracked and untracked entries of the worktree, without ignored ones, sorted by path. What a job left
 * behind without committing it is among them.
 */
export async function listWorktree(context: WorkspaceContext): Promise<Listing> {
  const changed = await differences(context, { withKeptOut: true })
  const { out } = await context.git(['ls-files', '-z', '--stage'])
  const known = new Map(records(out).map(({ name, facts }) => [name, facts[1]!]))
  for (const path of changed.deleted) known.delete(path)
  const differing = new Set(changed.modified)

  const paths = [...known.keys(), ...changed.untracked]
  const files = await inspectFiles(context.worktree, paths, async (path, entry) => {
    if (!entry || leadsIntoGit(path)) return undefined
    const indexed = known.get(path)
    // A file that cannot be read is listed as it was committed.
    const sha = indexed === undefined || differing.has(path) ? await entry.sha() : indexed
    return entryOf(path, entry, sha ?? indexed)
  })
  const listed = files.filter((file) => file !== undefined)
  const others = await findOthers(
    context.worktree,
    listed.map(({ path }) => path),
    (folders) => ignoredAmong(context, folders)
  )
  const all = [...listed, ...others.map((other) => ({ ...other, size: 0, sha: null }))]
  return { head: mainOf(context), files: all.sort(byPath) }
}

function entryOf(path: string, entry: Entry, sha: string | undefined): FileEntry | undefined {
  const { size, target } = entry
  if (sha === undefined) return undefined
  if (!target) return { path, size, sha, kind: 'file' }
  return { path, size, sha, kind: 'symlink', target: target.toString() }
}

/** Which of these folders are ignored as a whole, by the ignore files of the worktree. */
async function ignoredAmong(
  context: WorkspaceContext,
  folders: readonly string[]
): Promise<ReadonlySet<string>> {
  const { out } = await context.git(
    ['check-ignore', '--', ...folders.map((folder) => `./${folder}/`)],
    { codes: [0, 1, 128], env: { GIT_LITERAL_PATHSPECS: '0' } }
  )
  return new Set(out.split('\n').map((line) => line.replace(/^\.\//, '').replace(/\/$/, '')))
}

/** The files of a commit or a branch. */
export async function listCommit(context: WorkspaceContext, at: string): Promise<Listing> {
  const head = await resolve(context, at)
  const { out } = await context.git(['ls-tree', '-r', '-l', '-z', '--full-tree', head])
  const blobs = records(out).filter(({ facts }) => facts[1] === 'blob')
  const files = blobs.map(({ name, facts }) => ({
    path: name,
    size: Number(facts[3]),
    sha: facts[2]!,
    kind: facts[0] === '120000' ? ('symlink' as const) : ('file' as const)
  }))
  return { head, files: files.sort(byPath) }
}

export interface Change {
  readonly path: string
  readonly status: FileStatus
  /** The git blob id of the file as it is now; null once it is deleted. */
  readonly sha: string | null
  /** The job changed what a person had saved while it was running. */
  readonly overwritesSave?: true
}

/** The uncommitted changes, compared with the branch that the worktree is on. */
export async function changesOf(context: WorkspaceContext): Promise<Change[]> {
  const changed = await differences(context)
  const { memory } = context
  const isKeptOut = matcherOf(readKeptOut(context))
  const untracked = new Set(
    changed.untracked.filter((path) => path.isWellFormed() && !isKeptOut(path))
  )
  const paths = [...untracked, ...changed.modified]
  const inspected = await inspectFiles(context.worktree, paths, async (path, entry) => {
    const sha = await entry?.sha()
    if (untracked.has(path)) return sha && { path, status: 'added' as const, sha }
    // A folder, a pipe or a socket replaced the file, so the file is deleted. One that cannot be read stays as it was.
    if (!entry) return deletion(path)
    return sha && { path, status: 'modified' as const, sha }
  })
  const changes = [...inspected.filter((change) => !!change), ...changed.deleted.map(deletion)].map(
    (change): Change =>
      memory.savedPaths?.has(change.path) ? { ...change, overwritesSave: true } : change
  )
  if (memory.savedPaths) memory.changedPaths = new Set(changes.map(({ path }) => path))
  memory.knownClean = undefined
  // What cannot be read or named is no change of the job, and is put back or kept out when the worktree returns to main.
  const others = [...changed.modified, ...changed.untracked.filter((path) => !isKeptOut(path))]
  if (changes.length === 0 && others.length === 0) {
    markClean(context, readWorktreeHead(context).commit)
  }
  return changes.sort(byPath)
}

const deletion = (path: string): Change => ({ path, status: 'deleted', sha: null })

/** Resolves a commit id, `main`, or a job's branch to a commit. */
export async function resolve(context: WorkspaceContext, at: string): Promise<string> {
  const unknown = () => new AppError('not_found', 'Commit or branch not found', { at })
  const ref = `refs/heads/${at}`
  if (ref === MAIN || isJobRef(ref)) {
    const commit = readRef(context.repo, ref)
    if (commit === undefined) throw unknown()
    return commit
  }
  if (context.memory.trees.has(at)) return at
  if (!/^[0-9a-f]{7,40}$/.test(at)) throw unknown()
  const { code, out } = await context.git(['rev-parse', '--verify', '--quiet', `${at}^{commit}`], {
    codes: [0, 1, 128]
  })
  if (code !== 0) throw unknown()
  return out.trim()
}

/** `facts<TAB>name` records, as ls-files and ls-tree write them with -z. */
function records(out: string) {
  return out
    .split('\0')
    .filter((line) => line !== '')
    .map((line) => {
      const tab = line.indexOf('\t')
      return { name: line.slice(tab + 1), facts: line.slice(0, tab).split(/ +/) }
    })
}

const byPath = (a: { path: string }, b: { path: string }) =>
  a.path < b.path ? -1 : a.path > b.path ? 1 : 0
