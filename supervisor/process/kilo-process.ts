import { spawn, type ChildProcess } from 'node:child_process'
import type { Readable } from 'node:stream'
import type { Log } from '#kernel/log.ts'
import { follow, type Transitions } from '#kernel/transitions.ts'
import { within } from '#kernel/waiting.ts'
import { createProcessLog } from './log.ts'
import { firstChild, killMarked, signal, signalGroup } from './tree.ts'
import type { Redact } from '../redact.ts'

export type ProcessState = 'starting' | 'ready' | 'draining' | 'exited'

/** A `kilo serve` process is born once and dies once; a restart is a new process. */
export const PROCESS_STATES: Transitions<ProcessState> = {
  starting: ['ready', 'draining', 'exited'],
  ready: ['draining', 'exited'],
  draining: ['exited'],
  exited: []
}

export interface KiloCommand {
  readonly program: string
  readonly args: readonly string[]
  readonly env: Record<string, string>
  readonly cwd: string
  /** Started by a sandbox program, which reports the pid of the sandbox's first process on `INFO_FD`. */
  readonly sandboxed: boolean
  readonly marker: string
}

export interface KiloProcess {
  readonly pid: number
  readonly state: ProcessState
  /** Kilo has said that it listens. Never rejects: a process that exits first resolves `exited` instead. */
  readonly listening: Promise<void>
  /** How it ended, in words, once it has. */
  readonly exited: Promise<string>
  /** The same, if it is just about to. A process that has just died falls silent first, and its end is the better answer. */
  endedWithin(): Promise<string | undefined>
  /** It answers: from now on it may be used. */
  markReady(): void
  /** Asks it to end, waits, then kills. Twice is once. */
  stop(graceMs: number): Promise<void>
  /** The whole tree is gone when this resolves, or the log says that it is still there. */
  kill(): Promise<void>
  lastLine(): string | undefined
  /** The end of all that it wrote. */
  tail(): string
}

/** The file descriptor on which bubblewrap writes the pid of the namespace's first process. */
export const INFO_FD = 3

const EXIT_NOTICE_MS = 500
const LISTENING = /listening on https?:\/\//
/** After SIGKILL of a tree its root is gone within milliseconds; this is for a machine that is very busy. */
const KILL_WAIT_MS = 5000

/** One `kilo serve`, alone or in its jail, with everything that it starts. Throws when it cannot be spawned. */
export async function spawnKilo(
  command: KiloCommand,
  log: Log,
  redact: Redact
): Promise<KiloProcess> {
  const child = spawn(command.program, command.args, {
    cwd: command.cwd,
    env: command.env,
    // A process group of its own: it can be signalled whole, and a Ctrl-C at our terminal is ours to handle.
    detached: true,
    stdio: command.sandboxed ? ['ignore', 'pipe', 'pipe', 'pipe'] : ['ignore', 'pipe', 'pipe']
  })
  await spawned(child)
  const pid = child.pid as number

  let state: ProcessState = 'starting'
  const become = (next: ProcessState) => {
    state = follow(PROCESS_STATES, state, next)
  }

  const output = createProcessLog(log, redact)
  const listening = Promise.withResolvers<void>()
  output.drain(child.stdout as Readable, 'stdout', (line) => {
    if (LISTENING.test(line)) listening.resolve()
  })
  output.drain(child.stderr as Readable, 'stderr')
  const firstInside = command.sandboxed ? readChildPid(child.stdio[INFO_FD] as Readable) : undefined

  const exited = new Promise<string>((resolve) => {
    child.once('exit', (code, name) => {
      become('exited')
      resolve(name ? `was ended by ${name}` : `exited with code ${code}`)
    })
  })

  const kill = async () => {
    if (state !== 'exited') {
      signalGroup(pid, 'SIGKILL')
      const inside = await within(firstInside, 0)
      if (inside !== undefined) signal(inside, 'SIGKILL')
    }
    const isGone = await killMarked(new Set([command.marker]))
    if (!isGone || (await within(exited, KILL_WAIT_MS)) === undefined) {
      log.error({ pid, marker: command.marker }, 'kilo was killed and is still there')
    }
  }

  const end = async (graceMs: number) => {
    if (state !== 'exited') {
      become('draining')
      await terminate()
      await within(exited, graceMs)
    }
    await kill()
  }

  // In a jail only the inner Kilo ends gracefully: a signal to bubblewrap takes the whole jail down at once.
  const terminate = async () => {
    const inside = await within(firstInside, 0)
    const target = firstInside ? inside && (await firstChild(inside)) : pid
    if (target) signal(target, 'SIGTERM')
  }

  let stopping: Promise<void> | undefined
  return {
    pid,
    get state() {
      return state
    },
    listening: listening.promise,
    exited,
    endedWithin: () => within(exited, EXIT_NOTICE_MS),
    markReady: () => become('ready'),
    stop: (graceMs) => (stopping ??= end(graceMs)),
    kill,
    lastLine: output.lastLine,
    tail: output.tail
  }
}

const spawned = (child: ChildProcess) =>
  new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve)
    child.once('error', reject)
  })

async function readChildPid(info: Readable): Promise<number | undefined> {
  let text = ''
  info.setEncoding('utf8')
  info.on('error', () => {})
  for await (const chunk of info) text += chunk
  return Number(/"child-pid":\s*(\d+)/.exec(text)?.[1]) || undefined
}
