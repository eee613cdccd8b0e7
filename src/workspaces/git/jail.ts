import { randomBytes } from 'node:crypto'
import { realpath } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { isExecutable } from '#kernel/machine/programs.ts'
import { SEALED, systemMounts } from '#kernel/machine/sandbox-arguments.ts'
import { quote } from './quote.ts'
import type { GitCommand, GitFolders } from './run-git.ts'

/**
 * The sandbox of git commands that read or write a worktree.
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
 * No network, no /proc, no capabilities, no other file, and no process of git outlives the jail.
 */
export interface JailPlan {
  readonly bubblewrap: string
  readonly git: string
  /** Bubblewrap's arguments for the programs of this machine. */
  readonly system: readonly string[]
}

/** The option that names a file of the staging folder; a jail has that folder at another path. */
export const PATHS_FILE = '--pathspec-from-file='

/** A command that runs in the jail of its worktree, which decides its folder and location. */
export interface JailedCommand extends GitCommand {
  readonly jail: JailPlan
  readonly folders: GitFolders
  /** A folder of the staging folder to use as the worktree. */
  readonly workTree?: string
}

/** Rejects when git is not installed where a jail shows programs. */
export async function planJail({ bubblewrap }: { bubblewrap: string }): Promise<JailPlan> {
  const [git, system] = await Promise.all([findGit(), systemMounts()])
  return { bubblewrap, git, system }
}

/** One running jail: how to start it, and how a command is written in its paths. */
export interface JailLayout {
  /** Bubblewrap's arguments; they start a shell that reads commands from its standard input. */
  readonly args: readonly string[]
  /** The command as one line of shell. */
  lineOf(command: GitCommand & Pick<JailedCommand, 'workTree'>): string
  /** Puts the repository's real path into git's messages. */
  toHost(message: string): string
}

export function layOutJail(plan: JailPlan, folders: GitFolders): JailLayout {
  const repo = `/g${randomName()}`
  const staging = `/s${randomName()}`
  const args = [
    ...SEALED,
    '--clearenv',
    ...plan.system,
    '--dev',
    '/dev',
    '--tmpfs',
    '/tmp',
    ...bind(folders.worktree, '/work'),
    ...bind(folders.repo, repo),
    ...bind(folders.stagingDir, staging),
    '--chdir',
    '/work',
    '--',
    '/bin/sh'
  ]
  const inStaging = (path: string) => join(staging, relative(folders.stagingDir, path))
  const locationOf = (workTree: string | undefined) => [
    `--git-dir=${repo}`,
    `--work-tree=${workTree === undefined ? '/work' : inStaging(workTree)}`
  ]
  const toJail = (arg: string) =>
    arg.startsWith(PATHS_FILE) ? PATHS_FILE + inStaging(arg.slice(PATHS_FILE.length)) : arg

  return {
    args,
    lineOf({ env, config, args, workTree }) {
      const index = env['GIT_INDEX_FILE']
      const inside = { ...env, ...(index && { GIT_INDEX_FILE: inStaging(index) }) }
      const settings = config.flatMap((setting) => ['-c', setting])
      return [
        ...Object.entries(inside).map(([name, value]) => `${name}=${quote(value)}`),
        ...[plan.git, ...locationOf(workTree), ...settings, ...args.map(toJail)].map(quote),
        '</dev/null'
      ].join(' ')
    },
    toHost: (message) => message.replaceAll(repo, folders.repo)
  }
}

const randomName = () => randomBytes(16).toString('hex')

const bind = (host: string, inside: string) => ['--bind', host, inside]

async function findGit(): Promise<string> {
  for (const folder of ['/usr/local/bin', '/usr/bin', '/bin']) {
    const path = await realpath(join(folder, 'git')).catch(() => undefined)
    if (path?.startsWith('/usr/') && (await isExecutable(path))) return path
  }
  throw new Error(
    'git is not installed below /usr, which its sandbox needs: install the git package'
  )
}
