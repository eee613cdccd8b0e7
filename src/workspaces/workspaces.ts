import { randomUUID } from 'node:crypto'
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Clock } from '#kernel/clock.ts'
import { AppError } from '#kernel/errors.ts'
import { projectId, type ProjectId } from '#kernel/ids.ts'
import { LIMITS } from '#kernel/limits.ts'
import type { Log } from '#kernel/log.ts'
import { cloneToMain, dropSubmodules, type CloneRules, type GitSource } from './create/cloning.ts'
import { moveRef, treeOf, writeCommit, type Author } from './history/commits.ts'
import { placeFile, prepareFile, tooLarge } from './files/files.ts'
import { ATTRIBUTES } from './git/safety.ts'
import { createGitHost, type RunGit } from './git/runner-host.ts'
import { createGit, initRepository } from './git/git.ts'
import type { WorkspaceContext } from './history/context.ts'
import { MAIN, readRef } from './git/refs.ts'
import { stageAll } from './history/staging.ts'
import { TEMPLATES, type NewFile } from './create/templates.ts'
import { createWorkspace, layout, type Workspace } from './workspace.ts'

export interface WorkspacesOptions {
  readonly projectsDir: string
  readonly log: Log
  readonly clock: Clock
  readonly clone?: CloneRules
}

/** What a project starts with; several are laid over each other: a clone, then a template, then files. */
export interface WorkspaceSource {
  readonly template?: string | undefined
  readonly files?: readonly NewFile[] | undefined
  readonly git?: GitSource | undefined
}

export interface Workspaces extends Disposable {
  /** Makes the project's repository and worktree, with a first commit on main. All of it, or nothing. */
  create(id: ProjectId, source: WorkspaceSource, author: Author): Promise<{ head: string }>
  /** The same object for the same project. */
  open(id: ProjectId): Workspace
  remove(id: ProjectId): Promise<void>
  /** Every project that has a folder here, whether or not anybody knows it. */
  list(): Promise<ProjectId[]>
}

/** Every project's files in a folder of its own, and git's memory of them where the agent cannot write. */
export function createWorkspaces(options: WorkspacesOptions): Workspaces {
  const projectsDir = resolve(options.projectsDir)
  const opened = new Map<ProjectId, Workspace>()
  const host = createGitHost()
  const dirOf = (id: ProjectId) => join(projectsDir, id)

  return {
    async create(id, source, author) {
      const dir = dirOf(id)
      await mkdir(projectsDir, { recursive: true })
      await mkdir(dir)
      try {
        return {
          head: await fill(placeAt(dir, options, host.run), source, author, options.clone ?? {})
        }
      } catch (error) {
        await rm(dir, { recursive: true, force: true })
        throw error
      }
    },

    open(id) {
      const known = opened.get(id)
      if (known) return known
      const dir = dirOf(id)
      const workspace = createWorkspace(placeAt(dir, options, host.run), layout(dir).lock)
      opened.set(id, workspace)
      return workspace
    },

    async remove(id) {
      opened.delete(id)
      const gone = join(projectsDir, `.removed-${randomUUID()}`)
      await rename(dirOf(id), gone).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error
      })
      await rm(gone, { recursive: true, force: true, maxRetries: 3 })
    },

    async list() {
      await mkdir(projectsDir, { recursive: true })
      return (await readdir(projectsDir)).filter(projectId.is)
    },

    [Symbol.dispose]: () => host[Symbol.dispose]()
  }
}

function placeAt(dir: string, { log, clock }: WorkspacesOptions, run: RunGit): WorkspaceContext {
  const { repo, worktree, aside, moving } = layout(dir)
  const git = createGit({ repo, worktree }, run)
  const memory = { trees: new Map(), parents: new Map() }
  return { repo, worktree, aside, moving, git, run, log, clock, memory }
}

async function fill(
  context: WorkspaceContext,
  source: WorkspaceSource,
  author: Author,
  rules: CloneRules
) {
  const files = filesOf(source)
  await mkdir(context.worktree)
  await mkdir(context.aside)
  await initRepository(context.run, context.repo, context.aside)
  await mkdir(join(context.repo, 'info'), { recursive: true })
  await writeFile(join(context.repo, 'info', 'attributes'), ATTRIBUTES)

  if (source.git) await checkOutClone(context, source.git, rules)
  for (const file of files) await writeNew(context, file)
  await stageAll(context)
  return commitFirst(context, source, author)
}

async function checkOutClone(
  context: WorkspaceContext,
  source: GitSource,
  rules: CloneRules
): Promise<void> {
  await cloneToMain(context, source, rules)
  await context.git(['read-tree', '--reset', '-u', MAIN])
  const left = await dropSubmodules(context)
  if (left.length > 0) context.log.info({ paths: left }, 'submodules left out of a clone')
}

/** A clone that came as we want it keeps the commit that it came with. */
async function commitFirst(
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
  await moveRef(context, MAIN, head, cloned)
  return head
}

function filesOf(source: WorkspaceSource): readonly NewFile[] {
  const template = TEMPLATES.get(source.template ?? 'empty')
  if (!template) {
    const known = [...TEMPLATES.keys()]
    throw new AppError('invalid_request', 'There is no such template', { field: 'template', known })
  }
  const files = [...template, ...(source.files ?? [])]
  if (files.length > LIMITS.filesPerCreateMax) {
    throw new AppError('invalid_request', 'These are too many files', { field: 'files' })
  }
  return files
}

async function writeNew(context: WorkspaceContext, { path, content }: NewFile): Promise<void> {
  const bytes = Buffer.from(content)
  if (bytes.length > LIMITS.fileBytesMax) throw tooLarge(path, bytes.length)
  using prepared = await prepareFile(context.aside, bytes, { executable: false, sync: false })
  placeFile(context.worktree, path, prepared)
}
