import { randomBytes } from 'node:crypto'
import { access, constants, realpath } from 'node:fs/promises'
import { basename, delimiter, dirname, join } from 'node:path'
import { systemMounts } from '#kernel/system-mounts.ts'
import type { GitCommand, GitFolders } from './run-git.ts'

/**
 * A short bubblewrap around one git command that reads or writes a worktree.
 *
 * The problem: git checks a path and then opens it by name. An agent that runs at the same time can replace a file or
 * folder with a symbolic link between the two, and git then reads, writes or deletes what the link names, with the
 * server's rights. So git runs where a link leads to nothing that the agent does not have:
 *
 *   /work            the worktree, read-write
 *   /g<128 bits>     the repository, read-write; the agent cannot guess the name, so no link leads into it
 *   /s<128 bits>     the staging folder, for copies of the index
 *   /usr, /lib …     programs, read-only; a bare /dev and an empty /tmp
 *
 * No network, no /proc, no capabilities, no other file, and no process of git outlives bubblewrap.
 */
export interface GitJail {
  /** The program `bwrap`. */
  readonly bubblewrap: string
}

/** What every jail of this server has in common. */
export interface JailPlan {
  readonly bubblewrap: string
  readonly git: string
  /** Bubblewrap's arguments for the programs of this machine. */
  readonly system: readonly string[]
}

const NAMESPACES = [
  '--die-with-parent',
  '--new-session',
  '--unshare-user',
  '--uid',
  '1000',
  '--gid',
  '1000',
  '--disable-userns',
  '--cap-drop',
  'ALL',
  '--unshare-pid',
  '--unshare-ipc',
  '--unshare-uts',
  '--unshare-cgroup-try',
  '--unshare-net'
]

/** Rejects when git is not installed where a jail shows programs. */
export async function planJail({ bubblewrap }: GitJail): Promise<JailPlan> {
  const [git, system] = await Promise.all([findGit(), systemMounts()])
  return { bubblewrap, git, system }
}

/** The same command in a jail of its own. `toHost` puts the repository's real path into git's messages. */
export function jailCommand(
  command: GitCommand,
  plan: JailPlan,
  { repo, worktree, stagingDir }: GitFolders
): { readonly command: GitCommand; readonly toHost: (message: string) => string } {
  const inside = { repo: `/g${randomName()}`, staging: `/s${randomName()}` }
  const index = command.env['GIT_INDEX_FILE']
  const jailed: GitCommand = {
    ...command,
    program: 'bwrap',
    cwd: stagingDir,
    env: {
      ...command.env,
      PATH: `${dirname(plan.bubblewrap)}${delimiter}/usr/bin${delimiter}/bin`,
      ...(index && { GIT_INDEX_FILE: join(inside.staging, basename(index)) })
    },
    config: [],
    args: [
      ...NAMESPACES,
      ...plan.system,
      '--dev',
      '/dev',
      '--tmpfs',
      '/tmp',
      ...bind(worktree, '/work'),
      ...bind(repo, inside.repo),
      ...bind(stagingDir, inside.staging),
      '--chdir',
      '/work',
      '--',
      plan.git,
      `--git-dir=${inside.repo}`,
      '--work-tree=/work',
      ...command.config.flatMap((setting) => ['-c', setting]),
      ...command.args
    ]
  }
  return { command: jailed, toHost: (message) => message.replaceAll(inside.repo, repo) }
}

const bind = (host: string, inside: string) => ['--bind', host, inside]

const randomName = () => randomBytes(16).toString('hex')

async function findGit(): Promise<string> {
  for (const folder of ['/usr/local/bin', '/usr/bin', '/bin']) {
    const path = await realpath(join(folder, 'git')).catch(() => undefined)
    if (path?.startsWith('/usr/') && (await isExecutable(path))) return path
  }
  throw new Error(
    'git is not installed below /usr, which its sandbox needs: install the git package'
  )
}

const isExecutable = (path: string) =>
  access(path, constants.X_OK).then(
    () => true,
    () => false
  )
