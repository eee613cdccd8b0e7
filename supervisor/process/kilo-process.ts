import { spawn, type ChildProcess } from 'node:child_process'
import type { Readable } from 'node:stream'
import type { Log } from '#kernel/log.ts'
import { follow, type Transitions } from '#kernel/transitions.ts'
import { within } from '#kernel/waiting.ts'
import { createProcessLog, type ProcessLog } from './log.ts'
import { cpuMsOf, firstChild, killMarked, signal, signalGroup } from './tree.ts'
import type { Redact } from '../redact.ts'

export type ProcessState = 'starting' | 'ready' | 'draining' | 'exited'

/** A `kilo serve` process starts once and exits once; a restart is a new process. */
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
  /** Kilo reported that it listens. Never rejects: a process that exits first resolves `exited` instead. */
  readonly listening: Promise<void>
  /** How it exited, once it has: “exited with code 1”. */
  readonly exited: Promise<string>
  /** The same, if it exits within half a second: a dying process refuses requests first, and its exit explains more. */
  endedWithin(): Promise<string | undefined>
  /** It accepts requests. */
  markReady(): void
  /** Asks it to exit, waits for the grace period, then kills it. Idempotent. */
  stop(graceMs: number): Promise<void>
  /** Resolves when the whole tree has exited, or logs that it has not. */
  kill(): Promise<void>
  /** For error messages: “ Last output: …”, or nothing when it wrote nothing. */
  lastOutput(): string
  /** The end of everything that it wrote. */
  tail(): string
  /** How much it has done so far: for telling a slow start from a silent one. */
  activity(): Promise<{ readonly cpuMs: number; readonly outputChars: number }>
}

/** The file descriptor on which bubblewrap writes the pid of the namespace's first process. */
export const INFO_FD = 3

const EXIT_NOTICE_MS = 500
const LISTENING = /listening on https?:\/\//
/** The root of a killed tree exits within milliseconds; this bound is for a very busy machine. */
const KILL_WAIT_MS = 5000

/** Spawns one `kilo serve`, plain or in its sandbox. Rejects when it cannot be spawned. */
export async function spawnKilo(
  command: KiloCommand,
  log: Log,
  redact: Redact
): Promise<KiloProcess> {
  const child = await spawned(command)
  const pid = child.pid as number
  let state: ProcessState = 'starting'
  const become = (next: ProcessState) => {
    state = follow(PROCESS_STATES, state, next)
  }

  const output = createProcessLog(log, redact)
  const listening = readOutput(child, output)
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
    const hasExited = await killMarked(new Set([command.marker]))
    if (!hasExited || (await within(exited, KILL_WAIT_MS)) === undefined) {
      log.error({ pid, marker: command.marker }, 'kilo was killed and still runs')
    }
  }

  const drain = async (graceMs: number) => {
    if (state !== 'exited') {
      become('draining')
      await terminate(pid, firstInside)
      await within(exited, graceMs)
    }
    await kill()
  }

  let stopping: Promise<void> | undefined
  return {
    pid,
    get state() {
      return state
    },
    listening,
    exited,
    endedWithin: () => within(exited, EXIT_NOTICE_MS),
    markReady: () => become('ready'),
    stop: (graceMs) => (stopping ??= drain(graceMs)),
    kill,
    lastOutput() {
      const line = output.lastLine()
      return line ? ` Last output: ${line}` : ''
    },
    tail: output.tail,
    activity: async () => ({ cpuMs: await cpuMsOf(command.marker), outputChars: output.chars() })
  }
}

async function spawned({ program, args, cwd, env, sandboxed }: KiloCommand): Promise<ChildProcess> {
  const child = spawn(program, args, {
    cwd,
    env,
    // A process group of its own: it can be signalled whole, and does not receive the Ctrl-C of our terminal.
    detached: true,
    stdio: sandboxed ? ['ignore', 'pipe', 'pipe', 'pipe'] : ['ignore', 'pipe', 'pipe']
  })
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve)
    child.once('error', reject)
  })
  return child
}

/** Drains both pipes, and resolves when Kilo reports that it listens. */
function readOutput(child: ChildProcess, output: ProcessLog): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  output.drain(child.stdout as Readable, 'stdout', (line) => {
    if (LISTENING.test(line)) resolve()
  })
  output.drain(child.stderr as Readable, 'stderr')
  return promise
}

/** In a sandbox only the inner Kilo exits gracefully: a signal to bubblewrap kills the whole sandbox immediately. */
async function terminate(pid: number, firstInside: Promise<number | undefined> | undefined) {
  const inside = await within(firstInside, 0)
  const target = firstInside ? inside && (await firstChild(inside)) : pid
  if (target) signal(target, 'SIGTERM')
}

async function readChildPid(info: Readable): Promise<number | undefined> {
  let text = ''
  info.setEncoding('utf8')
  info.on('error', () => {})
  for await (const chunk of info) text += chunk
  return Number(/"child-pid":\s*(\d+)/.exec(text)?.[1]) || undefined
}
