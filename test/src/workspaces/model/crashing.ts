import { join } from 'node:path'
import { systemClock } from '#kernel/clock.ts'
import type { ProjectId } from '#kernel/ids.ts'
import { silentLog } from '#kernel/log.ts'
import type { Workspace } from '#workspaces'
import { createGit } from '../../../../src/workspaces/git/git.ts'
import { planJail } from '../../../../src/workspaces/git/jail.ts'
import type { GitHost } from '../../../../src/workspaces/git/runner-host.ts'
import { createWorkspace, layout } from '../../../../src/workspaces/workspace.ts'
import { usableBubblewrap } from '../../../helpers/rooms/usable-bubblewrap.ts'

/** The server is gone: no later command of this workspace runs. */
export class Crash extends Error {}

const jail = usableBubblewrap ? planJail({ bubblewrap: usableBubblewrap }) : undefined

/** A project's workspace in a process that stops before its git command number `commands` (from 0). */
export function openUntilCrash(
  host: GitHost,
  projectsDir: string,
  id: ProjectId,
  commands = Infinity
): Workspace {
  const dir = join(projectsDir, id)
  const { repo, worktree, stagingDir, pendingCheckout, lock } = layout(dir)
  let left = commands
  const run: GitHost['run'] = (command, signal) => {
    if (left-- <= 0) return Promise.reject(new Crash('the server stopped'))
    return host.run(command, signal)
  }
  const git = createGit({ repo, worktree, stagingDir }, run, jail)
  const context = {
    repo,
    worktree,
    stagingDir,
    pendingCheckout,
    git,
    run,
    log: silentLog,
    clock: systemClock,
    memory: { trees: new Map(), parents: new Map() }
  }
  return createWorkspace(context, lock)
}

/** Whether an error, or what caused it, is the crash. */
export const isCrash = (error: unknown): boolean =>
  error instanceof Crash ||
  (error instanceof Error && error.cause !== undefined && isCrash(error.cause))
