import type { FileStatus } from '#kernel/frames.ts'
import { AppError } from '#kernel/errors.ts'
import { leadsIntoGit } from '../files/paths.ts'
import { mainOf, markClean, readWorktreeHead, type WorkspaceContext } from './context.ts'
import { matcherOf, readKeptOut } from '../moves/kept-out.ts'
import { isJobRef, MAIN, readRef } from '../git/refs.ts'
import { inspectFiles } from '../files/inspect.ts'
import { differences } from './staging.ts'

export interface FileEntry {
  readonly path: string
  readonly size: number
  readonly sha: string
}

export interface Listing {
  readonly head: string
  readonly files: readonly FileEntry[]
}

/** The current tracked and untracked files of the worktree, without ignored ones, sorted by path. */
export async function listWorktree(context: WorkspaceContext): Promise<Listing> {
  const changed = await differences(context)
  const { out } = await context.git(['ls-files', '-z', '--stage'])
  const known = new Map(records(out).map(({ name, facts }) => [name, facts[1]!]))
  for (const path of [...changed.deleted, ...changed.modified]) known.delete(path)

  const paths = [...known.keys(), ...changed.modified, ...changed.untracked]
  const files = await inspectFiles(context.worktree, paths, async (path, entry) => {
    if (!entry || leadsIntoGit(path)) return undefined
    const sha = known.get(path) ?? (await entry.sha())
    return sha === undefined ? undefined : { path, size: entry.size, sha }
  })
  return { head: mainOf(context), files: files.filter((file) => file !== undefined).sort(byPath) }
}

/** The files of a commit or a branch. */
export async function listCommit(context: WorkspaceContext, at: string): Promise<Listing> {
  const head = await resolve(context, at)
  const { out } = await context.git(['ls-tree', '-r', '-l', '-z', '--full-tree', head])
  const blobs = records(out).filter(({ facts }) => facts[1] === 'blob')
  const files = blobs.map(({ name, facts }) => ({
    path: name,
    size: Number(facts[3]),
    sha: facts[2]!
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
  const untracked = new Set(changed.untracked.filter((path) => !isKeptOut(path)))
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
  if (changes.length === 0) markClean(context, readWorktreeHead(context).commit)
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
