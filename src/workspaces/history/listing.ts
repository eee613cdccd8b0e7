import type { FileStatus } from '#kernel/frames.ts'
import { AppError } from '#kernel/errors.ts'
import { leadsIntoGit } from '../files/paths.ts'
import { mainOf, settle, standing, type WorkspaceContext } from './context.ts'
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

/** The worktree as it is: tracked and untracked files, ignored ones left out, sorted by path. */
export async function listWorktree(context: WorkspaceContext): Promise<Listing> {
  const differ = await differences(context)
  const { out } = await context.git(['ls-files', '-z', '--stage'])
  const known = new Map(records(out).map(({ name, facts }) => [name, facts[1]!]))
  for (const path of [...differ.deleted, ...differ.modified]) known.delete(path)

  const paths = [...known.keys(), ...differ.modified, ...differ.untracked]
  const files = await inspectFiles(context.worktree, paths, async (path, entry) => {
    if (!entry || leadsIntoGit(path)) return undefined
    const sha = known.get(path) ?? (await entry.sha())
    return sha === undefined ? undefined : { path, size: entry.size, sha }
  })
  return { head: mainOf(context), files: files.filter((file) => file !== undefined).sort(byPath) }
}

/** What a commit or a branch holds. */
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
}

/** What has not been committed yet, on the branch that the worktree stands on. */
export async function changesOf(context: WorkspaceContext): Promise<Change[]> {
  const differ = await differences(context)
  const untracked = new Set(differ.untracked)
  const paths = [...differ.untracked, ...differ.modified]
  const looked = await inspectFiles(context.worktree, paths, async (path, entry) => {
    const sha = await entry?.sha()
    if (untracked.has(path)) return sha && { path, status: 'added' as const, sha }
    // A folder where a file was: the file is gone.
    return sha ? { path, status: 'modified' as const, sha } : deletion(path)
  })
  const changes = [...looked.filter((change) => !!change), ...differ.deleted.map(deletion)]
  if (changes.length === 0) settle(context, standing(context).commit)
  return changes.sort(byPath)
}

const deletion = (path: string): Change => ({ path, status: 'deleted', sha: null })

/** The commit that a word of the caller's names: a commit id, `main`, or a job's branch. */
export async function resolve(context: WorkspaceContext, at: string): Promise<string> {
  const unknown = () => new AppError('not_found', 'There is no such commit or branch', { at })
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
