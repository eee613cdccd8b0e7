import { randomUUID } from 'node:crypto'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { AppError } from '#kernel/errors.ts'
import { stateOf } from '../files/files.ts'
import type { WorkspaceContext, WorktreeHead } from '../history/context.ts'

const IGNORE_FILE = '.gitignore'

/**
 * Whether main's rules ignore a path. While a job runs, the worktree has the job's ignore files; where they differ from
 * those of main on the way to the path, git reads main's from a temporary folder. What main tracks is not ignored.
 */
export async function isIgnored(
  context: WorkspaceContext,
  { main, onJob }: WorktreeHead,
  path: string
): Promise<boolean> {
  if (!onJob) return checkIgnore(context, path)
  const files = ignoreFilesOf(path)
  const [byWorktree, onMain] = await Promise.all([
    checkIgnore(context, path),
    blobsOf(context, main, [path, ...files])
  ])
  if (onMain.has(path)) return false
  const isSame = await Promise.all(
    files.map(async (file) => (await shaOf(context, file)) === onMain.get(file))
  )
  if (isSame.every(Boolean)) return byWorktree

  const rules = files.flatMap((file) => onMain.get(file) ?? [])
  if (rules.length === 0) return false
  const folder = join(context.stagingDir, randomUUID())
  try {
    for (const file of files) {
      const blob = onMain.get(file)
      if (blob === undefined) continue
      mkdirSync(dirname(join(folder, file)), { recursive: true })
      writeFileSync(join(folder, file), (await context.git(['cat-file', 'blob', blob])).out)
    }
    return await checkIgnore(context, path, folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** By rules of ignore files only: the server's own list of what is kept out does not make a person's save ignored. */
async function checkIgnore(
  context: WorkspaceContext,
  path: string,
  workTree?: string
): Promise<boolean> {
  // check-ignore does not support literal paths; the prefix keeps a path from being parsed as a pattern.
  const { code, out } = await context.git(['check-ignore', '--verbose', '--', `./${path}`], {
    codes: [0, 1, 128],
    env: { GIT_LITERAL_PATHSPECS: '0' },
    ...(workTree === undefined ? {} : { workTree })
  })
  // `source:line:pattern<TAB>path`. The source of the server's list is an absolute path.
  const [, negated] = /^[^/][^]*?:\d+:(!?)/.exec(out) ?? []
  return code === 0 && negated === ''
}

/** The ignore files that can have a rule for the path. */
function ignoreFilesOf(path: string): string[] {
  const segments = path.split('/').slice(0, -1)
  return ['', ...segments].map((_, depth) => [...segments.slice(0, depth), IGNORE_FILE].join('/'))
}

async function blobsOf(context: WorkspaceContext, commit: string, paths: readonly string[]) {
  const { out } = await context.git(['ls-tree', '-z', '--full-tree', commit, '--', ...paths])
  const blobs = new Map<string, string>()
  for (const line of out.split('\0')) {
    const [, sha, name] = /^\d+ blob ([0-9a-f]{40})\t([\s\S]+)$/.exec(line) ?? []
    if (sha !== undefined && name !== undefined) blobs.set(name, sha)
  }
  return blobs
}

async function shaOf({ worktree }: WorkspaceContext, path: string): Promise<string | undefined> {
  try {
    return (await stateOf(worktree, path))?.sha
  } catch (error) {
    // A folder of the path is a file or a link.
    if (error instanceof AppError) return undefined
    throw error
  }
}
