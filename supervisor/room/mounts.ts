import { lstat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { systemMounts } from '#kernel/machine/sandbox-arguments.ts'
import { ROOM_LIMITS } from './room-limits.ts'
import type { RoomPrograms } from './room.ts'

/** The paths inside the sandbox; the agent sees no others. */
export const INSIDE = {
  work: '/work',
  own: '/kilo',
  given: '/opt/given',
  kilo: '/opt/kilo',
  ripgrep: '/opt/rg',
  node: '/opt/node',
  room: '/opt/room'
} as const

/** What a room shows of this machine, besides the system. */
export interface Mounts extends RoomPrograms {
  /** Read-write: the project's files. */
  readonly worktree: string
  /** Read-write: the agent's own data. */
  readonly own: string
  /** Read-only: what the server has written for the agent, and the files of `ETC_FILES`. */
  readonly given: string
}

/** The program of the room, plain JavaScript that the server's own Node runs. */
export const ROOM_PROGRAM = [
  `${INSIDE.node}/${basename(process.execPath)}`,
  `${INSIDE.room}/room.mjs`
] as const
const ROOM_FOLDER = join(import.meta.dirname, 'inside')

/** The program's path inside the sandbox. */
export const kiloInside = (kilo: RoomPrograms['kilo']) => `${INSIDE.kilo}/${basename(kilo.path)}`

/**
 * Files of /etc that the server writes for a room: those of the machine name its users and its network. They lie in the
 * room's read-only folder.
 */
export const ETC_FILES: Readonly<Record<'passwd' | 'group' | 'hosts', string>> = {
  passwd: `agent:x:1000:1000:agent:${INSIDE.own}/home:/bin/sh\n`,
  group: 'agent:x:1000:\nnogroup:x:65534:\n',
  hosts: '127.0.0.1 localhost kilo\n::1 localhost\n'
}

/** Bubblewrap's arguments for what a room sees: the system read-only, and its project. */
export async function mountArguments(mounts: Mounts): Promise<string[]> {
  return [
    ...(await systemMounts()),
    ...etcReadOnly(mounts.given),
    ...(await procMasked()),
    ...devBounded(),
    ...['--size', String(ROOM_LIMITS.tmpBytes), '--perms', '1777', '--tmpfs', '/tmp'],
    ...kiloReadOnly(mounts.kilo),
    ...(mounts.ripgrep ? ['--ro-bind', dirname(mounts.ripgrep), INSIDE.ripgrep] : []),
    ...['--ro-bind', process.execPath, ROOM_PROGRAM[0]],
    ...['--ro-bind', ROOM_FOLDER, INSIDE.room],
    ...['--ro-bind', mounts.given, INSIDE.given],
    ...['--bind', mounts.worktree, INSIDE.work],
    ...['--bind', mounts.own, INSIDE.own],
    // The root itself is memory of this machine: only the mounts above are there to write to.
    ...['--remount-ro', '/', '--chdir', INSIDE.work]
  ]
}

/** What a room sees of the machine's /etc. Never a whole folder that may hold a private key. */
const ETC = [
  'ssl/certs',
  'ssl/cert.pem',
  'ssl/openssl.cnf',
  'ca-certificates',
  'ca-certificates.conf',
  'pki/tls/certs',
  'pki/tls/cert.pem',
  'pki/ca-trust/extracted',
  'nsswitch.conf',
  'localtime',
  'alternatives',
  'ld.so.cache',
  'mime.types'
]

const etcReadOnly = (given: string) => [
  ...Object.keys(ETC_FILES).flatMap((name) => ['--ro-bind', join(given, name), `/etc/${name}`]),
  ...ETC.flatMap((name) => ['--ro-bind-try', `/etc/${name}`, `/etc/${name}`])
]

/**
 * The kernel's settings in /proc belong to the machine, not to a namespace: where the server is root, so are the room's
 * processes to the kernel, and they could change them.
 */
const READ_ONLY = ['sys', 'irq', 'bus', 'fs', 'acpi', 'scsi', 'asound', 'driver']
const HIDDEN = ['kcore', 'kmsg', 'sysrq-trigger', 'keys', 'key-users', 'timer_list', 'kallsyms']
const HIDDEN_TOO = ['sched_debug', 'latency_stats', 'vmallocinfo', 'slabinfo', 'kpageflags', 'mtrr']

async function procMasked(): Promise<string[]> {
  const existing = async (names: readonly string[]) => {
    const found = await Promise.all(
      names.map((name) =>
        lstat(`/proc/${name}`).then(
          () => [`/proc/${name}`],
          () => []
        )
      )
    )
    return found.flat()
  }
  const [readOnly, hidden] = await Promise.all([
    existing(READ_ONLY),
    existing([...HIDDEN, ...HIDDEN_TOO])
  ])
  return [
    ...['--proc', '/proc'],
    ...readOnly.flatMap((path) => ['--ro-bind', path, path]),
    ...hidden.flatMap((path) => ['--ro-bind', '/dev/null', path])
  ]
}

/** /dev has memory of its own below it: bounded, and read-only where nothing is written. */
const devBounded = () => [
  ...['--dev', '/dev'],
  ...['--size', String(ROOM_LIMITS.shmBytes), '--perms', '1777', '--tmpfs', '/dev/shm'],
  ...['--remount-ro', '/dev']
]

/** The whole folder of Kilo's package; of a program on its own not its folder, which may hold anything. */
const kiloReadOnly = (kilo: RoomPrograms['kilo']) =>
  kilo.packageBin
    ? ['--ro-bind', kilo.packageBin, INSIDE.kilo]
    : ['--ro-bind', kilo.path, kiloInside(kilo)]
