import type { Log } from '#kernel/log.ts'
import { follow, type Transitions } from '#kernel/transitions.ts'
import { within } from '#kernel/waiting.ts'
import { createProcessLog, type ProcessLog } from '../process/log.ts'
import type { Room, RoomCommand, RoomProcess } from '../room/room.ts'
import type { Redact } from '../redact.ts'

export type ProcessState = 'starting' | 'ready' | 'draining' | 'exited'

/** A `kilo serve` process starts once and exits once; a restart is a new process. */
export const PROCESS_STATES: Transitions<ProcessState> = {
  starting: ['ready', 'draining', 'exited'],
  ready: ['draining', 'exited'],
  draining: ['exited'],
  exited: []
}

export interface KiloProcess {
  /** Of the room where that has one, else of Kilo: when it is killed, everything ends. */
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
  /** Ends the room. Resolves when all its processes have exited, or logs that they have not. */
  kill(): Promise<void>
  /** For error messages: “ Last output: …”, or nothing when it wrote nothing. */
  lastOutput(): string
  /** The end of everything that it wrote. */
  tail(): string
  /** How much it has done so far: for telling a slow start from a silent one. */
  activity(): Promise<{ readonly cpuMs: number; readonly outputBytes: number }>
}

const EXIT_NOTICE_MS = 500
const LISTENING = /listening on https?:\/\//

/** Spawns one `kilo serve` in its room, which ends with it. Rejects when it cannot be spawned. */
export async function spawnKilo(
  room: Room,
  command: RoomCommand,
  log: Log,
  redact: Redact
): Promise<KiloProcess> {
  const started = await room.spawn(command)
  let state: ProcessState = 'starting'
  const become = (next: ProcessState) => {
    state = follow(PROCESS_STATES, state, next)
  }

  const output = createProcessLog(log, redact)
  const listening = readOutput(started, output)
  const exited = started.exited.then(({ code, signal }) => {
    become('exited')
    return signal ? `was ended by ${signal}` : `exited with code ${code}`
  })
  const kill = async () => room[Symbol.asyncDispose]()

  const drain = async (graceMs: number) => {
    if (state !== 'exited') {
      become('draining')
      // Only Kilo itself: it ends its own children. A room that has ended refuses, and has ended Kilo, too; one whose
      // program was stopped does not answer, and that must not prolong the grace period.
      started.signal('SIGTERM').catch(() => {})
      await within(exited, graceMs)
    }
    await kill()
  }

  let stopping: Promise<void> | undefined
  return {
    pid: room.pid ?? started.pid,
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
    activity: async () => ({ cpuMs: (await room.stats()).cpuMs, outputBytes: output.bytes() })
  }
}

/** Drains both outputs, and resolves when Kilo reports that it listens. */
function readOutput({ stdout, stderr }: RoomProcess, output: ProcessLog): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  output.drain(stdout, 'stdout', (line) => {
    if (LISTENING.test(line)) resolve()
  })
  output.drain(stderr, 'stderr')
  return promise
}
