import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { birthOf } from '#kernel/machine/process-birth.ts'
import { SEALED } from '#kernel/machine/sandbox-arguments.ts'
import { within } from '#kernel/waiting.ts'
import { findInNamespace, measure } from '../process/measure.ts'
import { limited } from '../process/process-limits.ts'
import { killMarked, MARKER, signal } from '../process/tree.ts'
import { ETC_FILES, INSIDE, kiloInside, mountArguments, ROOM_PROGRAM } from './mounts.ts'
import { openRelay } from './relayed-room.ts'
import { SOCKET_NAME } from './room-host.ts'
import { ROOM_LIMITS } from './room-limits.ts'
import type { Room, RoomExit, RoomPlan, RoomPrograms } from './room.ts'
import { seccompFilter } from './seccomp-filter.ts'

export interface BubblewrapOptions extends RoomPrograms {
  readonly bubblewrap: string
}

/** The descriptors that bubblewrap is given besides the standard ones. */
const FD = { info: 3, args: 4, seccomp: 5 } as const

const STDERR_CHARS_MAX = 4096

/**
 * Opens a room in bubblewrap, with a network of its own in which only `lo` is up. The room ends in two ways when this
 * server does: bubblewrap's processes die with their parent, and the room's program exits with its control stream.
 */
export async function openBubblewrapRoom(
  plan: RoomPlan,
  options: BubblewrapOptions
): Promise<Room> {
  await using opening = new AsyncDisposableStack()
  await writeEtc(plan.given)
  let asked = false
  const relay = opening.use(
    await openRelay({
      folder: plan.given,
      marker: plan.marker,
      log: plan.log,
      onEnd: () => void kill()
    })
  )
  const sandbox = await startSandbox(plan, options)
  const { child } = sandbox
  const exited = sandbox.exited.then((exit): RoomExit => (asked ? { ...exit, why: 'asked' } : exit))

  const kill = async () => {
    const first = await within(sandbox.firstInside, 0)
    // The first process of the namespace takes all others with it.
    if (first !== undefined && birthOf(first.pid) === first.born) signal(first.pid, 'SIGKILL')
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
    const hasExited = await killMarked(new Set([plan.marker]))
    if (!hasExited || (await within(exited, ROOM_LIMITS.killMs)) === undefined) {
      plan.log.error({ pid: child.pid, marker: plan.marker }, 'room was killed and still runs')
    }
  }
  const processes = async () => {
    const first = await within(sandbox.firstInside, 0)
    return first && birthOf(first.pid) === first.born ? findInNamespace(first.pid) : []
  }
  const close = async () => {
    asked = true
    await kill()
    await relay[Symbol.asyncDispose]()
  }
  opening.defer(close)
  void exited.then(() => relay[Symbol.asyncDispose]())

  child.stdin?.end(JSON.stringify({ token: relay.token, socket: `${INSIDE.given}/${SOCKET_NAME}` }))
  const problem = await Promise.race([
    relay.connected.then(() => undefined),
    exited.then(({ how }) => sandbox.lastLine() ?? `bubblewrap ${how}`)
  ]).catch(() => 'the program of the room did not start')
  if (problem !== undefined) throw new Error(problem)

  opening.move()
  return {
    ...relay,
    kind: 'bubblewrap',
    network: 'closed',
    pid: child.pid,
    exited,
    paths: {
      work: INSIDE.work,
      own: INSIDE.own,
      given: INSIDE.given,
      kilo: kiloInside(options.kilo),
      ripgrep: options.ripgrep && INSIDE.ripgrep,
      node: undefined
    },
    processes,
    stats: async () => measure(await processes()),
    kill,
    [Symbol.asyncDispose]: close
  }
}

interface Sandbox {
  readonly child: ChildProcess
  /** The first process of the PID namespace, as this machine sees it. */
  readonly firstInside: Promise<
    { readonly pid: number; readonly born: string | undefined } | undefined
  >
  readonly exited: Promise<RoomExit>
  /** What bubblewrap or the room's program wrote last. */
  lastLine(): string | undefined
}

/** Spawns bubblewrap. Rejects when it cannot be executed. */
async function startSandbox(plan: RoomPlan, options: BubblewrapOptions): Promise<Sandbox> {
  const filter = seccompFilter()
  const args = [
    ...SEALED,
    ...['--hostname', 'kilo', '--info-fd', String(FD.info)],
    // A variable such as NODE_OPTIONS that reaches bubblewrap must not reach the room's program.
    ...['--clearenv', '--setenv', MARKER, plan.marker],
    ...(await mountArguments({ ...plan, ...options }))
  ]
  if (filter) args.push('--seccomp', String(FD.seccomp))
  // The arguments go through a pipe: a process of the room can read the command line of its first process.
  const program = plan.limits ? limited(plan.limits, ROOM_PROGRAM) : ROOM_PROGRAM
  const child = spawn(options.bubblewrap, ['--args', String(FD.args), '--', ...program], {
    argv0: 'bwrap',
    cwd: '/',
    // The first process of the room keeps this environment, and every process inside can read it.
    env: { [MARKER]: plan.marker },
    detached: true,
    stdio: ['pipe', 'ignore', 'pipe', 'pipe', 'pipe', 'pipe']
  })
  await once(child, 'spawn')
  const exited = new Promise<RoomExit>((resolve) => {
    child.once('exit', (code, name) =>
      resolve(
        name
          ? { why: 'killed', how: `was ended by ${name}` }
          : { why: 'died', how: `exited with code ${code}` }
      )
    )
  })
  child.stdin?.on('error', () => {})
  const pipes: readonly unknown[] = child.stdio
  endWith(pipes[FD.args] as Writable, args.map((arg) => `${arg}\0`).join(''))
  endWith(pipes[FD.seccomp] as Writable, filter ?? '')
  const firstInside = readFirstInside(pipes[FD.info] as Readable)
  return { child, exited, lastLine: keepLastLine(child.stderr as Readable), firstInside }
}

/** Written anew at each start: the folder is ours, and the room sees it read-only. */
async function writeEtc(given: string): Promise<void> {
  for (const [name, text] of Object.entries(ETC_FILES)) {
    await writeFile(join(given, name), text, { mode: 0o644 })
  }
}

function endWith(pipe: Writable, content: string | Buffer): void {
  // Bubblewrap may have exited already; its exit says why.
  pipe.on('error', () => {})
  pipe.end(content)
}

function keepLastLine(stderr: Readable): () => string | undefined {
  let text = ''
  stderr.setEncoding('utf8')
  stderr.on('data', (chunk: string) => (text = (text + chunk).slice(-STDERR_CHARS_MAX)))
  stderr.on('error', () => {})
  return () => text.trim().split('\n').findLast(Boolean)
}

async function readFirstInside(info: Readable) {
  let text = ''
  info.setEncoding('utf8')
  info.on('error', () => {})
  for await (const chunk of info) text += chunk
  const pid = Number(/"child-pid":\s*(\d+)/.exec(text)?.[1])
  return pid > 0 ? { pid, born: birthOf(pid) } : undefined
}
