import { mkdir, readdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Clock } from '#kernel/clock.ts'
import { projectId, type ProjectId } from '#kernel/ids.ts'
import type { Log } from '#kernel/log.ts'
import { removeFolder } from '#kernel/machine/removals.ts'
import type { CloneRules } from './create/cloning.ts'
import { createRepository, type WorkspaceSource } from './create/create-repository.ts'
import type { Author } from './history/commits.ts'
import { createGitHost, type RunGit } from './git/runner-host.ts'
import { createGit } from './git/git.ts'
import { planJail, type JailPlan } from './git/jail.ts'
import type { WorkspaceContext } from './history/context.ts'
import { createWorkspace, layout, type Workspace } from './workspace.ts'

export interface WorkspacesOptions {
  readonly projectsDir: string
  readonly log: Log
  readonly clock: Clock
  readonly clone?: CloneRules
  /** Without it git runs in the worktree itself, with the server's rights: only where agents are not isolated either. */
  readonly jail?: { readonly bubblewrap: string } | undefined
}

export interface Workspaces extends Disposable {
  /** Creates the project's repository and worktree with a first commit on main. A failure leaves no folder behind. */
  create(id: ProjectId, source: WorkspaceSource, author: Author): Promise<{ head: string }>
  /** Returns the same object for the same project: they share one mutex queue and one cache. */
  open(id: ProjectId): Workspace
  /** Afterwards the project is gone. Files that cannot be removed yet lie in a folder that is set aside for a sweep. */
  remove(id: ProjectId): Promise<void>
  /** Lists every project that has a folder here, also those without a row in the database. */
  list(): Promise<ProjectId[]>
}

/** Keeps each project in its own folder: its worktree, and its git repository, which the agent cannot write. */
export function createWorkspaces(options: WorkspacesOptions): Workspaces {
  const projectsDir = resolve(options.projectsDir)
  const opened = new Map<ProjectId, Workspace>()
  const host = createGitHost()
  const jail = options.jail && planJail(options.jail)
  // A failure is reported by the first command that needs the jail.
  jail?.catch(() => {})
  const contextOf = (dir: string) => createContext(dir, options, host.run, jail)
  const dirOf = (id: ProjectId) => join(projectsDir, id)

  return {
    async create(id, source, author) {
      const dir = dirOf(id)
      await mkdir(projectsDir, { recursive: true, mode: 0o700 })
      await mkdir(dir, { mode: 0o700 })
      try {
        const context = contextOf(dir)
        return { head: await createRepository(context, source, author, options.clone ?? {}) }
      } catch (error) {
        await removeFolder(dir, options.log)
        throw error
      }
    },

    open(id) {
      const known = opened.get(id)
      if (known) return known
      const dir = dirOf(id)
      const workspace = createWorkspace(contextOf(dir), layout(dir).lock)
      opened.set(id, workspace)
      return workspace
    },

    async remove(id) {
      opened.delete(id)
      await removeFolder(dirOf(id), options.log)
    },

    async list() {
      await mkdir(projectsDir, { recursive: true, mode: 0o700 })
      return (await readdir(projectsDir)).filter(projectId.is)
    },

    [Symbol.dispose]: () => host[Symbol.dispose]()
  }
}

function createContext(
  dir: string,
  { log, clock }: WorkspacesOptions,
  run: RunGit,
  jail: Promise<JailPlan> | undefined
): WorkspaceContext {
  const { repo, worktree, stagingDir, pendingCheckout } = layout(dir)
  const git = createGit({ repo, worktree, stagingDir }, run, jail)
  const memory = { trees: new Map(), parents: new Map() }
  return { repo, worktree, stagingDir, pendingCheckout, git, run, log, clock, memory }
}
