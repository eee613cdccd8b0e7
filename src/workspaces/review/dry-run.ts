import { randomUUID } from 'node:crypto'
import { copyFileSync, cpSync, existsSync, mkdirSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import type { WorkspaceContext } from '../history/context.ts'
import type { Git } from '../git/git.ts'
import { isIndexSound } from '../git/index-file.ts'
import { readRef, writeHead } from '../git/refs.ts'
import { refAfterRecovery } from '../moves/checkout.ts'

/**
 * Runs an operation as a dry run: the same code, on copies of the index and of the refs.
 *
 * The copies lie in the staging folder, in a folder that has the files of a repository that our own code reads (HEAD,
 * refs, index), and the real objects: new objects get into the object store, where no ref leads to them. git itself runs
 * with the real repository and the copy of the index; `update-ref -d` deletes the copies instead.
 *
 * The worktree is only read. Commands that could write it are refused, so that an operation that forgets that it is dry
 * fails instead of changing files.
 */
export async function runDry<T>(
  context: WorkspaceContext,
  work: (dry: WorkspaceContext) => Promise<T>
): Promise<T> {
  const repo = join(context.stagingDir, `dry-${randomUUID()}`)
  // Any command that reads a broken index makes it again.
  if (!isIndexSound(context.repo)) await context.git(['ls-files', '--', 'HEAD'])
  try {
    copyRefs(context.repo, repo)
    const isPending = adoptPendingCheckout(context, repo)
    const memory = { ...context.memory, knownClean: undefined }
    const git = createDryGit(context.git, repo)
    return await work({ ...context, repo, git, memory, dryRun: { isPending } })
  } finally {
    rmSync(repo, { recursive: true, force: true })
  }
}

export const maybeDry = <T>(
  context: WorkspaceContext,
  dryRun: boolean | undefined,
  work: (context: WorkspaceContext) => Promise<T>
): Promise<T> => (dryRun ? runDry(context, work) : work(context))

function copyRefs(from: string, to: string): void {
  mkdirSync(to, { mode: 0o700 })
  symlinkSync(join(from, 'objects'), join(to, 'objects'))
  for (const folder of ['refs', 'info']) {
    if (existsSync(join(from, folder))) {
      cpSync(join(from, folder), join(to, folder), { recursive: true })
    }
  }
  for (const name of ['HEAD', 'packed-refs', 'index']) {
    if (existsSync(join(from, name))) copyFileSync(join(from, name), join(to, name))
  }
}

/** An operation would first finish an interrupted checkout: then HEAD names its ref, and no file is left over. */
function adoptPendingCheckout(context: WorkspaceContext, repo: string): boolean {
  if (!existsSync(context.pendingCheckout)) return false
  const ref = refAfterRecovery(context)
  if (ref !== undefined) writeHead(repo, ref)
  return true
}

/** They read, or write nothing but the index and objects. */
const HARMLESS = new Set([
  'add',
  'cat-file',
  'check-ignore',
  'diff',
  'diff-tree',
  'log',
  'ls-files',
  'ls-tree',
  'merge-base',
  'merge-tree',
  'read-tree',
  'rev-list',
  'rev-parse',
  'status',
  'update-index',
  'write-tree'
])

function createDryGit(git: Git, repo: string): Git {
  const index = { GIT_INDEX_FILE: join(repo, 'index') }
  return async (args, options = {}) => {
    const [command = '', ...rest] = args
    if (command === 'update-ref') return deleteCopy(repo, rest)
    if (!HARMLESS.has(command) || (command === 'read-tree' && rest.includes('-u'))) {
      throw new Error(`a dry run must not run git ${command}`)
    }
    return git(args, { ...options, env: { ...index, ...options.env } })
  }
}

/** `update-ref -d <ref> <old>`; refs are moved without git. */
function deleteCopy(repo: string, args: readonly string[]) {
  const [option, ref = '', expected] = args
  if (option !== '-d' || !ref.startsWith('refs/')) {
    throw new Error(`a dry run does not know this update-ref: ${args.join(' ')}`)
  }
  const current = readRef(repo, ref)
  if (current !== expected) throw new Error(`git update-ref: ${ref} is at ${current}`)
  rmSync(join(repo, ref), { force: true })
  return { code: 0, out: '', err: '', cut: false }
}
