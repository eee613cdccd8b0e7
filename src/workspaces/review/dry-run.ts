import { randomUUID } from 'node:crypto'
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { dirname, join } from 'node:path'
import type { WorkspaceContext } from '../history/context.ts'
import type { Git } from '../git/git.ts'
import { NO_COMMIT, readRef, writeHead } from '../git/refs.ts'

/**
 * Runs an operation as a dry run: the same code, on copies of the index and of the refs.
 *
 * The copies lie in the staging folder, in a folder that has the files of a repository that our own code reads (HEAD,
 * refs, index), and the real objects: new objects get into the object store, where no ref leads to them. git itself runs
 * with the real repository and the copy of the index; `update-ref` changes the copies instead.
 *
 * The worktree is only read. Commands that could write it are refused, so that an operation that forgets that it is dry
 * fails instead of changing files.
 */
export async function runDry<T>(
  context: WorkspaceContext,
  work: (dry: WorkspaceContext) => Promise<T>
): Promise<T> {
  const repo = join(context.stagingDir, `dry-${randomUUID()}`)
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
function adoptPendingCheckout({ pendingCheckout }: WorkspaceContext, repo: string): boolean {
  if (!existsSync(pendingCheckout)) return false
  const ref = readFileSync(pendingCheckout, 'utf8')
  if (ref !== '') writeHead(repo, ref)
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
    if (command === 'update-ref') return moveCopy(repo, rest)
    if (!HARMLESS.has(command) || (command === 'read-tree' && rest.includes('-u'))) {
      throw new Error(`a dry run must not run git ${command}`)
    }
    return git(args, { ...options, env: { ...index, ...options.env } })
  }
}

/** `update-ref <ref> <new> <old>` and `update-ref -d <ref> <old>`, as the workspace uses them. */
function moveCopy(repo: string, args: readonly string[]) {
  const isDeletion = args[0] === '-d'
  const [ref = '', ...ids] = isDeletion ? args.slice(1) : args
  const expected = ids.at(-1)
  if (!ref.startsWith('refs/') || expected === undefined) {
    throw new Error(`a dry run does not know this update-ref: ${args.join(' ')}`)
  }
  const current = readRef(repo, ref) ?? NO_COMMIT
  if (current !== expected) throw new Error(`git update-ref: ${ref} is at ${current}`)
  const path = join(repo, ref)
  if (isDeletion) rmSync(path, { force: true })
  else {
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, `${ids[0]}\n`)
  }
  return { code: 0, out: '', err: '', cut: false }
}
