import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { silentLog } from '#kernel/log.ts'
import { isExecutable } from '#kernel/machine/programs.ts'
import { openBubblewrapRoom } from './bubblewrap-room.ts'
import type { RoomKind, RoomPrograms } from './room.ts'

const run = promisify(execFile)

/** The first version with `--disable-userns`; `--size` and `--args` are older. */
const VERSION_MIN = [0, 8, 0] as const
const PROBE_MS = 20_000

export interface BubblewrapRoomsOptions extends RoomPrograms {
  /** Undefined: it is not installed. */
  readonly bubblewrap: string | undefined
  /** Where the room of the probe has its folders. */
  readonly agentsDir: string
}

/** Rooms in bubblewrap. */
export function createBubblewrapRooms(options: BubblewrapRoomsOptions): RoomKind {
  const { bubblewrap } = options
  return {
    kind: 'bubblewrap',
    network: 'closed',
    uid: 'shared',
    problem: () => findProblem(options),
    open(plan) {
      if (bubblewrap === undefined) throw new Error('bubblewrap (bwrap) is not installed')
      return openBubblewrapRoom(plan, { ...options, bubblewrap })
    }
  }
}

/** The bubblewrap of Kilo's package, or that of the system. */
export async function findBubblewrap(
  { kilo }: Pick<RoomPrograms, 'kilo'>,
  folders: readonly string[] = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/bin']
): Promise<string | undefined> {
  for (const folder of [kilo.packageBin, ...folders]) {
    if (!folder) continue
    const path = join(folder, 'bwrap')
    if (await isExecutable(path)) return path
  }
  return undefined
}

async function findProblem(options: BubblewrapRoomsOptions): Promise<string | undefined> {
  if (process.platform !== 'linux') return 'it needs Linux'
  const { bubblewrap } = options
  if (bubblewrap === undefined) return 'bubblewrap (bwrap) is not installed'
  const tooOld = await versionProblem(bubblewrap)
  if (tooOld !== undefined) return tooOld
  const problem = await probe({ ...options, bubblewrap })
  return problem && `${problem}${await advice()}`
}

async function versionProblem(bubblewrap: string): Promise<string | undefined> {
  const { stdout } = await run(bubblewrap, ['--version'], { env: {}, timeout: PROBE_MS }).catch(
    () => ({ stdout: '' })
  )
  const version = /(\d+)\.(\d+)\.(\d+)/.exec(stdout)
  if (!version) return `${bubblewrap} does not report a version`
  return isOlder(version.slice(1).map(Number), VERSION_MIN)
    ? `bubblewrap ${version[0]} is too old: install ${VERSION_MIN.join('.')} or newer`
    : undefined
}

function isOlder(version: readonly number[], least: readonly number[]): boolean {
  const at = least.findIndex((number, index) => number !== version[index])
  return at >= 0 && (version[at] ?? 0) < (least[at] ?? 0)
}

/** Opens a real room and runs a program that does nothing in it. */
async function probe(
  options: BubblewrapRoomsOptions & { readonly bubblewrap: string }
): Promise<string | undefined> {
  const folder = await mkdtemp(join(options.agentsDir, '.probe-'))
  const plan = {
    worktree: join(folder, 'work'),
    own: join(folder, 'own'),
    given: join(folder, 'given')
  }
  try {
    for (const path of Object.values(plan)) await mkdir(path)
    await using room = await openBubblewrapRoom(
      { ...plan, marker: `probe-${process.pid}`, log: silentLog },
      options
    )
    const { code, stderr } = await room.run(
      { argv: ['/bin/sh', '-c', 'exit 0'], env: {}, cwd: room.paths.work },
      { timeoutMs: PROBE_MS, outputBytes: 1000 }
    )
    return code === 0 ? undefined : `a command in a room exited with code ${code}: ${stderr}`
  } catch (error) {
    return (error as Error).message
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Settings of the kernel that forbid user namespaces, with what changes them. */
const FORBIDDING: readonly (readonly [path: string, value: string, advice: string])[] = [
  [
    'kernel/apparmor_restrict_unprivileged_userns',
    '1',
    'AppArmor restricts user namespaces here: give bwrap a profile, see docs/isolation.md'
  ],
  [
    'kernel/unprivileged_userns_clone',
    '0',
    'this kernel forbids user namespaces: set kernel.unprivileged_userns_clone=1'
  ],
  [
    'user/max_user_namespaces',
    '0',
    'this kernel allows no user namespaces: set user.max_user_namespaces above 0'
  ]
]

async function advice(): Promise<string> {
  for (const [path, value, text] of FORBIDDING) {
    const current = await readFile(`/proc/sys/${path}`, 'utf8').catch(() => undefined)
    if (current?.trim() === value) return ` (${text})`
  }
  return ''
}
