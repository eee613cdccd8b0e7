import { existsSync, lstatSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { finishPendingCheckout } from '../moves/checkout.ts'
import { mainOf, readWorktreeHead, type WorkspaceContext } from '../history/context.ts'
import { isIndexSound } from '../git/index-file.ts'
import { MAIN, readHead, writeHead } from '../git/refs.ts'

/** What one check has found: `repaired` now, or `failed`, with a sentence why it could not be. */
export interface Check {
  readonly name: string
  readonly result: 'ok' | 'repaired' | 'failed'
  readonly detail?: string
}

export interface RepairOptions {
  /** Reads all objects and the whole index too, which takes as long as the project is large. */
  readonly thorough: boolean
}

/** Repairs what it can. Returns a sentence about what it did; undefined when nothing was to do. Throws when it cannot. */
type Repair = (context: WorkspaceContext) => Promise<string | undefined> | string | undefined

/**
 * Brings a workspace into a state in which every operation works, as far as its objects allow: the folders exist, HEAD
 * names a branch, no checkout is unfinished, the index can be read, and no temporary file of a crash is left. Checks run
 * in order, because each needs the ones before it; after a failure the others are not tried. Nothing that a person or a
 * job has committed changes, and no file of the worktree that is there.
 */
export async function repair(
  context: WorkspaceContext,
  { thorough }: RepairOptions
): Promise<Check[]> {
  const checks: Check[] = []
  const steps = thorough ? [...CHEAP, ...THOROUGH] : CHEAP
  for (const [name, step] of steps) {
    try {
      const detail = await step(context)
      checks.push(
        detail === undefined ? { name, result: 'ok' } : { name, result: 'repaired', detail }
      )
    } catch (error) {
      checks.push({ name, result: 'failed', detail: firstLine(error) })
      break
    }
  }
  context.memory.knownClean = undefined
  return checks
}

const CHEAP: readonly (readonly [string, Repair])[] = [
  ['folders', makeFolders],
  ['refs', checkRefs],
  ['checkout', finishCheckout],
  ['worktree', restoreWorktree],
  ['index', (context) => (isIndexSound(context.repo) ? undefined : rebuildIndex(context))],
  ['temporary-files', removeTemporary]
]

const THOROUGH: readonly (readonly [string, Repair])[] = [
  ['index-content', checkIndex],
  ['objects', checkObjects]
]

function makeFolders({ repo, stagingDir }: WorkspaceContext): string | undefined {
  if (!existsSync(join(repo, 'objects'))) throw new Error('the project has no repository')
  if (existsSync(stagingDir)) return undefined
  mkdirSync(stagingDir)
  return 'the folder for temporary files was missing'
}

function checkRefs(context: WorkspaceContext): string | undefined {
  mainOf(context)
  try {
    readHead(context.repo)
    return undefined
  } catch {
    writeHead(context.repo, MAIN)
    return 'HEAD named no branch, and names main now'
  }
}

async function finishCheckout(context: WorkspaceContext): Promise<string | undefined> {
  if (!existsSync(context.pendingCheckout)) return undefined
  // Its files are written from the index, which has to be one.
  if (!isIndexSound(context.repo)) await rebuildIndex(context)
  await finishPendingCheckout(context)
  return 'a checkout was not finished'
}

async function restoreWorktree(context: WorkspaceContext): Promise<string | undefined> {
  const { worktree } = context
  if (lstatSync(worktree, { throwIfNoEntry: false })?.isDirectory()) return undefined
  rmSync(worktree, { force: true })
  mkdirSync(worktree)
  rmSync(join(context.repo, 'index'), { force: true })
  await context.git(['read-tree', '--reset', '-u', readWorktreeHead(context).commit])
  return 'the folder of the files was missing: they are as last committed'
}

/** From the commit below the worktree: what differs from it is uncommitted, as it was. */
async function rebuildIndex(context: WorkspaceContext): Promise<string> {
  rmSync(join(context.repo, 'index'), { force: true })
  rmSync(join(context.repo, 'index.lock'), { force: true })
  await context.git(['read-tree', '--reset', readWorktreeHead(context).commit])
  return 'the index was missing or damaged, and was built again'
}

async function checkIndex(context: WorkspaceContext): Promise<string | undefined> {
  const known = { codes: [0, 1, 128] }
  const { commit } = readWorktreeHead(context)
  const { code } = await context.git(['diff-index', '--cached', '--quiet', commit], known)
  return code === 128 ? rebuildIndex(context) : undefined
}

/** Files in use are newer: no operation takes this long. */
const TEMPORARY_AGE_MS = 15 * 60_000

function removeTemporary({ stagingDir, clock }: WorkspaceContext): string | undefined {
  const before = clock.now().getTime() - TEMPORARY_AGE_MS
  const old = readdirSync(stagingDir).filter((name) => {
    const stats = lstatSync(join(stagingDir, name), { throwIfNoEntry: false })
    return stats && stats.mtimeMs < before
  })
  for (const name of old) rmSync(join(stagingDir, name), { recursive: true, force: true })
  return old.length === 0 ? undefined : `${old.length} files of interrupted operations were removed`
}

async function checkObjects(context: WorkspaceContext): Promise<undefined> {
  const args = ['fsck', '--connectivity-only', '--no-dangling', '--no-progress']
  const { code, out, err } = await context.git(args, { codes: [0, 1, 2, 3, 4, 8, 128] })
  if (code === 0) return undefined
  throw new Error(firstLine(`${out}${err}`) || 'objects are missing')
}

const firstLine = (error: unknown) =>
  (error instanceof Error ? error.message : String(error)).split('\n', 1)[0]!.slice(0, 500)
