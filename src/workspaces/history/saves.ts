import { AppError } from '#kernel/errors.ts'
import { LIMITS } from '#kernel/limits.ts'
import { jobOf, type Author } from './commits.ts'
import { commitEdit } from './edits.ts'
import { refuseKind } from '../files/entries.ts'
import {
  placeFile,
  prepareFile,
  stateOf,
  tooLarge,
  unlinkFile,
  type FileState,
  type Prepared
} from '../files/files.ts'
import { codeOf } from '../files/safe-open.ts'
import { finishPendingCheckout } from '../moves/checkout.ts'
import { isIgnored } from '../moves/ignored.ts'
import { release, updateKeptOut } from '../moves/kept-out.ts'
import { writeObject } from '../git/objects.ts'
import { checkPath, REMOVABLE } from '../files/paths.ts'
import { readWorktreeHead, type WorkspaceContext, type WorktreeHead } from './context.ts'

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
  /** The commit of main; null for an ignored file, which is written and not committed. */
  readonly commit: string | null
  readonly ignored: boolean
  readonly created: boolean
  /** The running job, if it had changed the file. */
  readonly conflictsWith?: string | undefined
}

/**
 * Writes a person's file into the worktree and commits it on main in their name. While a job is running, its branch
 * gets a commit of its own with the same change. The ignore rules are those of main. An ignored file is written and not
 * committed, and no branch removes it.
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
  if (before && before.kind !== 'file' && before.kind !== 'folder') throw refuseKind(path, before)
  const file = before?.kind === 'file' ? before : undefined
  await checkPrecondition(context, path, file, options)

  const executable = file?.executable ?? false
  const head = readWorktreeHead(context)
  const [ignored, sha] = await Promise.all([
    isIgnored(context, head, path),
    writeObject(context.repo, 'blob', content)
  ])
  using prepared = await prepareFile(context.stagingDir, content, { executable, sync: true })
  await place(context, head, path, prepared)
  const conflictsWith = noteSave(context, head, path)
  const saved = { path, sha, ignored, created: file === undefined, conflictsWith }
  if (ignored) {
    if (head.onJob) updateKeptOut(context, (list) => ({ ignored: [...list.ignored, path] }))
    return { ...saved, commit: null }
  }
  const message = options.message ?? `${file ? 'Save' : 'Create'} ${path}`
  const mode = executable ? '100755' : '100644'
  const edit = ['--add', '--replace', '--cacheinfo', `${mode},${sha},${path}`]
  return { ...saved, commit: await commitEdit(context, head, edit, { ...options, message }) }
}

/** Writes the file, or refuses: a folder that the running job made is there for as long as the job runs. */
async function place(
  context: WorkspaceContext,
  { onJob, main }: WorktreeHead,
  path: string,
  prepared: Prepared
): Promise<void> {
  try {
    placeFile(context.worktree, path, prepared)
  } catch (error) {
    const isFolder = error instanceof AppError && codeOf(error.cause) === 'EISDIR'
    if (!isFolder || !onJob || (await kindAt(context, main, path)) === 'tree') throw error
    const detail = 'The running job has made a folder of this name: save again when it has ended'
    throw new AppError('path_is_directory', detail, { path, jobId: context.memory.job })
  }
}

async function kindAt(context: WorkspaceContext, commit: string, path: string) {
  const { out } = await context.git(['ls-tree', commit, '--', path])
  return /^\d+ (\w+)/.exec(out)?.[1]
}

export interface RemoveOptions extends Omit<SaveOptions, 'ifNoneMatch'> {
  /** Commits the removal of a file that is on main and no longer in the worktree, instead of refusing it. */
  readonly evenIfGone?: boolean
}

export interface Removed {
  readonly path: string
  readonly commit: string
  /** The running job, if it had changed the file. */
  readonly conflictsWith?: string | undefined
}

/**
 * Deletes what is at a path from the worktree, also a link, a pipe or an empty folder, and commits that on main in the
 * person's name.
 */
export async function removeFile(
  context: WorkspaceContext,
  path: string,
  options: RemoveOptions
): Promise<Removed> {
  checkPath(path, REMOVABLE)
  await finishPendingCheckout(context)
  const before = await stateOf(context.worktree, path, REMOVABLE)
  if (!before && !options.evenIfGone) {
    throw new AppError('not_found', 'File not found', { path })
  }
  await checkPrecondition(context, path, before, options)

  unlinkFile(context.worktree, path)
  const head = readWorktreeHead(context)
  const conflictsWith = noteSave(context, head, path)
  const message = options.message ?? `Delete ${path}`
  const edit = ['--force-remove', '--', path]
  const commit = await commitEdit(context, head, edit, { ...options, message })
  return { path, commit, conflictsWith }
}

/**
 * Remembers that a person decided about this path. Returns the running job if it had changed the file already: the
 * person's change and the job's are then likely to conflict.
 */
function noteSave(context: WorkspaceContext, { onJob }: WorktreeHead, path: string) {
  const { memory } = context
  memory.knownClean = undefined
  release(context, path)
  // A person who edits an ignore file decides about what was ignored.
  if (/(^|\/)\.gitignore$/.test(path)) updateKeptOut(context, () => ({ ignored: [] }))
  if (!onJob) return undefined
  memory.savedPaths?.add(path)
  return memory.changedPaths?.has(path) ? memory.job : undefined
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
