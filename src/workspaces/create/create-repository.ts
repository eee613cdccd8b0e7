import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError } from '#kernel/errors.ts'
import { LIMITS } from '#kernel/limits.ts'
import { cloneToMain, dropSubmodules, type CloneRules, type GitSource } from './cloning.ts'
import { TEMPLATES, type NewFile } from './templates.ts'
import { placeFile, prepareFile, tooLarge } from '../files/files.ts'
import { initRepository } from '../git/git.ts'
import { MAIN, readRef } from '../git/refs.ts'
import { ATTRIBUTES } from '../git/safety.ts'
import { moveRef, treeOf, writeCommit, type Author } from '../history/commits.ts'
import type { WorkspaceContext } from '../history/context.ts'
import { stageAll } from '../history/staging.ts'

/** The initial content of a project, in layers: a clone, over it a template, over that files. */
export interface WorkspaceSource {
  readonly template?: string | undefined
  readonly files?: readonly NewFile[] | undefined
  readonly git?: GitSource | undefined
}

/**
 * Creates repository and worktree in the project's empty folder, and the first commit of main, whose id it returns.
 * When it fails, the caller removes the folder.
 */
export async function createRepository(
  context: WorkspaceContext,
  source: WorkspaceSource,
  author: Author,
  rules: CloneRules
): Promise<string> {
  const files = initialFiles(source)
  await mkdir(context.worktree)
  await mkdir(context.stagingDir)
  await initRepository(context.run, context.repo, context.stagingDir)
  await mkdir(join(context.repo, 'info'), { recursive: true })
  await writeFile(join(context.repo, 'info', 'attributes'), ATTRIBUTES)

  if (source.git) await checkOutClone(context, source.git, rules)
  for (const file of files) await writeInitialFile(context, file)
  await stageAll(context)
  return commitInitialFiles(context, source, author)
}

async function checkOutClone(
  context: WorkspaceContext,
  source: GitSource,
  rules: CloneRules
): Promise<void> {
  await cloneToMain(context, source, rules)
  if (readRef(context.repo, MAIN) === undefined) return
  await context.git(['read-tree', '--reset', '-u', MAIN])
  const dropped = await dropSubmodules(context)
  if (dropped.length > 0) context.log.info({ paths: dropped }, 'clone excludes its submodules')
}

/** A clone whose files were not changed keeps its own commit as the first commit of main. */
async function commitInitialFiles(
  context: WorkspaceContext,
  source: WorkspaceSource,
  author: Author
): Promise<string> {
  const cloned = readRef(context.repo, MAIN)
  const tree = (await context.git(['write-tree'])).out.trim()
  if (cloned !== undefined && (await treeOf(context, cloned)) === tree) return cloned

  const message = source.git ? `Start from ${source.git.url}` : 'Start the project'
  const parents = cloned === undefined ? [] : [cloned]
  const head = await writeCommit(context, { tree, parents, author, message })
  moveRef(context, MAIN, head, cloned)
  return head
}

function initialFiles(source: WorkspaceSource): readonly NewFile[] {
  const template = TEMPLATES.get(source.template ?? 'empty')
  if (!template) {
    const known = [...TEMPLATES.keys()]
    const detail = `Unknown template: use one of ${known.join(', ')}`
    throw new AppError('invalid_request', detail, { field: 'template', known })
  }
  const files = [...template, ...(source.files ?? [])]
  if (files.length > LIMITS.filesPerCreateMax) {
    const detail = `Too many files: a new project may have at most ${LIMITS.filesPerCreateMax}`
    throw new AppError('invalid_request', detail, { field: 'files' })
  }
  return files
}

async function writeInitialFile(
  context: WorkspaceContext,
  { path, content }: NewFile
): Promise<void> {
  const bytes = Buffer.from(content)
  if (bytes.length > LIMITS.fileBytesMax) throw tooLarge(path, bytes.length)
  const options = { executable: false, sync: false }
  using prepared = await prepareFile(context.stagingDir, bytes, options)
  placeFile(context.worktree, path, prepared)
}
