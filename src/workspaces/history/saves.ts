import { randomUUID } from 'node:crypto'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { AppError } from '#kernel/errors.ts'
import { LIMITS } from '#kernel/limits.ts'
import { isAncestor, jobOf, moveRef, treeOf, writeCommit, type Author } from './commits.ts'
import {
  placeFile,
  prepareFile,
  stateOf,
  tooLarge,
  unlinkFile,
  type FileState
} from '../files/files.ts'
import { finishPendingCheckout } from './checkout.ts'
import { writeObject } from '../git/objects.ts'
import { checkPath } from '../files/paths.ts'
import { readWorktreeHead, type WorkspaceContext, type WorktreeHead } from './context.ts'
import { MAIN } from '../git/refs.ts'

export interface SaveOptions {
  readonly author: Author
  readonly message?: string | undefined
  /** The blob id that the file must have, or `*`: the file must exist. */
  readonly ifMatch?: string | undefined
  /** The file must not exist. */
  readonly ifNoneMatch?: '*' | undefined
}

export interface Saved {
  readonly path: string
  readonly sha: string
  readonly commit: string
  readonly created: boolean
}

/**
 * Writes a person's file into the worktree and commits it on main in their name. While a job is running, its branch
 * gets the same commit. An ignored file is written and not committed.
 */
export async function saveFile(
  context: WorkspaceContext,
  path: string,
  content: Buffer,
  options: SaveOptions
): Promise<Saved> {
  checkPath(path)
  if (content.length > LIMITS.fileBytesMax) throw tooLarge(path, content.length)
  await finishPendingCheckout(context)
  const before = await stateOf(context.worktree, path)
  await checkPrecondition(context, path, before, options)

  const executable = before?.executable ?? false
  const [ignored, sha] = await Promise.all([
    isIgnored(context, path),
    writeObject(context.repo, 'blob', content)
  ])
  using prepared = await prepareFile(context.stagingDir, content, { executable, sync: true })
  placeFile(context.worktree, path, prepared)
  context.memory.knownClean = undefined

  const message = options.message ?? `${before ? 'Save' : 'Create'} ${path}`
  const mode = executable ? '100755' : '100644'
  const edit = ['--add', '--replace', '--cacheinfo', `${mode},${sha},${path}`]
  const head = readWorktreeHead(context)
  const commit = ignored
    ? head.main
    : await commitEdit(context, head, edit, { ...options, message })
  return { path, sha, commit, created: before === undefined }
}

export interface RemoveOptions extends Omit<SaveOptions, 'ifNoneMatch'> {
  /** Commits the removal of a file that is on main and no longer in the worktree, instead of refusing it. */
  readonly evenIfGone?: boolean
}

/** Deletes a person's file from the worktree and commits that on main in their name. */
export async function removeFile(context: WorkspaceContext, path: string, options: RemoveOptions) {
  checkPath(path)
  await finishPendingCheckout(context)
  const before = await stateOf(context.worktree, path)
  if (!before && !options.evenIfGone) {
    throw new AppError('not_found', 'File not found', { path })
  }
  await checkPrecondition(context, path, before, options)

  unlinkFile(context.worktree, path)
  context.memory.knownClean = undefined
  const message = options.message ?? `Delete ${path}`
  const edit = ['--force-remove', '--', path]
  return {
    path,
    commit: await commitEdit(context, readWorktreeHead(context), edit, { ...options, message })
  }
}

async function checkPrecondition(
  context: WorkspaceContext,
  path: string,
  before: FileState | undefined,
  { ifMatch, ifNoneMatch }: Pick<SaveOptions, 'ifMatch' | 'ifNoneMatch'>
): Promise<void> {
  const matches = ifMatch === undefined || (before && (ifMatch === '*' || ifMatch === before.sha))
  if (matches && !(ifNoneMatch && before)) return

  const changedByJob = await lastJob(context, path, before?.sha)
  throw new AppError(
    'file_changed',
    'The file has changed since you read it: read it again and repeat the change',
    {
      path,
      currentSha: before?.sha ?? null,
      ...(changedByJob === undefined ? {} : { changedByJob })
    }
  )
}

/** The job that last changed the file: the running job if that is uncommitted, else the job of its last commit. */
async function lastJob(context: WorkspaceContext, path: string, sha: string | undefined) {
  const { commit, onJob } = readWorktreeHead(context)
  const { out } = await context.git(['rev-parse', '--verify', '--quiet', `${commit}:${path}`], {
    codes: [0, 1, 128]
  })
  if (out.trim() !== (sha ?? '')) return onJob ? context.memory.job : undefined
  return jobOf(context, commit, path)
}

async function isIgnored(context: WorkspaceContext, path: string): Promise<boolean> {
  // check-ignore does not support literal paths; the prefix keeps a path from being parsed as a pattern.
  const { code } = await context.git(['check-ignore', '--quiet', '--', `./${path}`], {
    codes: [0, 1, 128],
    env: { GIT_LITERAL_PATHSPECS: '0' }
  })
  return code === 0
}

interface CommitNote {
  readonly author: Author
  readonly message: string
}

/**
 * Commits one edit on main and on the branch that the worktree is on. The repository's index holds the files of
 * that branch; if main is at another commit, its tree is built in a temporary index.
 */
async function commitEdit(
  context: WorkspaceContext,
  { main, commit, tip, ref }: WorktreeHead,
  edit: readonly string[],
  note: CommitNote
): Promise<string> {
  if (commit === main) {
    const committed = await commitEdited(context, {}, edit, note, [main])
    if (committed === main) return main
    await moveRef(context, MAIN, committed, main)
    if (ref !== MAIN && tip !== undefined) await moveRef(context, ref, committed, tip)
    return committed
  }

  const onMain = await withTemporaryIndex(context, main, (env) =>
    commitEdited(context, env, edit, note, [main])
  )
  if (onMain !== main) await moveRef(context, MAIN, onMain, main)
  // With main as a second parent, the same edit on both branches cannot conflict in a later merge.
  const parents: [string, ...string[]] = (await isAncestor(context, main, commit))
    ? [commit, onMain]
    : [commit]
  const onBranch = await commitEdited(context, {}, edit, note, parents)
  if (onBranch !== commit) await moveRef(context, ref, onBranch, tip)
  return onMain
}

/** Returns the first parent when the edit changes nothing. */
async function commitEdited(
  context: WorkspaceContext,
  env: Readonly<Record<string, string>>,
  edit: readonly string[],
  { author, message }: CommitNote,
  parents: readonly [string, ...string[]]
): Promise<string> {
  await context.git(['update-index', ...edit], { env })
  const tree = (await context.git(['write-tree'], { env })).out.trim()
  if (tree === (await treeOf(context, parents[0]))) return parents[0]
  return writeCommit(context, { tree, parents, author, message })
}

async function withTemporaryIndex<T>(
  context: WorkspaceContext,
  commit: string,
  work: (env: Readonly<Record<string, string>>) => Promise<T>
): Promise<T> {
  const index = join(context.stagingDir, randomUUID())
  const env = { GIT_INDEX_FILE: index }
  try {
    await context.git(['read-tree', commit], { env })
    return await work(env)
  } finally {
    rmSync(index, { force: true })
  }
}
