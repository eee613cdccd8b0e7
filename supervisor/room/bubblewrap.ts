import { execFile } from 'node:child_process'
import { lstat, readlink } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { promisify } from 'node:util'
import { INFO_FD } from '../process/kilo-process.ts'
import type { KiloBinary } from './kilo-binary.ts'

const run = promisify(execFile)

/** The paths inside the sandbox; the agent sees no others. */
export const INSIDE = {
  work: '/work',
  own: '/kilo',
  kilo: '/opt/kilo',
  ripgrep: '/opt/rg'
} as const

const PROBE_MS = 10_000

export interface Jail {
  readonly network: 'shared' | 'closed'
  /** Read-write: the project's files. */
  readonly worktree: string
  /** Read-write: the agent's own data. */
  readonly own: string
  readonly kilo: KiloBinary
  readonly ripgrep: string | undefined
}

/**
 * Bubblewrap's arguments for one agent: it sees the system read-only, its worktree and its own data, no other
 * process, and nothing else of this machine. A `shared` network is that of this machine.
 */
export async function jailArguments(jail: Jail): Promise<string[]> {
  return [
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
    '--hostname',
    'kilo',
    '--info-fd',
    String(INFO_FD),
    ...(jail.network === 'closed' ? ['--unshare-net'] : []),
    ...(await systemReadOnly()),
    '--proc',
    '/proc',
    '--dev',
    '/dev',
    '--tmpfs',
    '/tmp',
    ...kiloReadOnly(jail.kilo),
    ...(jail.ripgrep ? ['--ro-bind', dirname(jail.ripgrep), INSIDE.ripgrep] : []),
    '--bind',
    jail.worktree,
    INSIDE.work,
    '--bind',
    jail.own,
    INSIDE.own,
    '--chdir',
    INSIDE.work,
    '--'
  ]
}

/** The program's path inside the sandbox. */
export const kiloInside = (kilo: KiloBinary) => `${INSIDE.kilo}/${basename(kilo.path)}`

/** Why a sandbox is not possible here, or undefined when it is: runs a program that does nothing in a real one. */
export async function jailProblem(
  bubblewrap: string | undefined,
  folder: string,
  kilo: KiloBinary
) {
  if (process.platform !== 'linux') return 'it needs Linux'
  if (bubblewrap === undefined) return 'bubblewrap (bwrap) is not installed'

  const jail: Jail = { network: 'shared', worktree: folder, own: folder, kilo, ripgrep: undefined }
  const args = (await jailArguments(jail)).map((arg, at, all) =>
    all[at - 1] === '--info-fd' ? '2' : arg
  )
  return run(bubblewrap, [...args, '/bin/sh', '-c', 'exit 0'], { env: {}, timeout: PROBE_MS }).then(
    () => undefined,
    (error: { stderr?: string; message: string }) => lastLine(error.stderr) ?? error.message
  )
}

const ETC = [
  'ssl',
  'ca-certificates',
  'pki',
  'passwd',
  'group',
  'nsswitch.conf',
  'hosts',
  'resolv.conf',
  'localtime',
  'alternatives',
  'ld.so.cache',
  'mime.types'
]

async function systemReadOnly(): Promise<string[]> {
  const top = await Promise.all(
    ['/bin', '/sbin', '/lib', '/lib32', '/lib64'].map(async (path) => {
      const stat = await lstat(path).catch(() => undefined)
      if (!stat) return []
      return stat.isSymbolicLink()
        ? ['--symlink', await readlink(path), path]
        : ['--ro-bind', path, path]
    })
  )
  const etc = ETC.map((name) => `/etc/${name}`)
  return [
    '--ro-bind',
    '/usr',
    '/usr',
    ...top.flat(),
    ...etc.flatMap((path) => ['--ro-bind-try', path, path])
  ]
}

/** The whole folder of Kilo's package; of a program on its own not its folder, which may hold anything. */
const kiloReadOnly = (kilo: KiloBinary) =>
  kilo.packageBin
    ? ['--ro-bind', kilo.packageBin, INSIDE.kilo]
    : ['--ro-bind', kilo.path, kiloInside(kilo)]

const lastLine = (text: string | undefined) =>
  text
    ?.trim()
    .split('\n')
    .findLast((line) => line.startsWith('bwrap:'))
