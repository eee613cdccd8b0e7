import type { Duplex, Readable, Writable } from 'node:stream'
import type { Log } from '#kernel/log.ts'
import type { ProcessLimits } from '../process/process-limits.ts'

/** Where a process of the room finds its folders; in a sandbox these differ from the paths of this machine. */
export interface RoomPaths {
  /** The project's files: read-write. */
  readonly work: string
  /** The agent's own data: read-write. */
  readonly own: string
  /** What the server has written for the agent: read-only in a sandbox. */
  readonly given: string
  readonly kilo: string
  /** The folder of ripgrep. */
  readonly ripgrep: string | undefined
  /** The folder of Node, where a process may use that of the server. */
  readonly node: string | undefined
}

/** The programs of this machine that a room offers. */
export interface RoomPrograms {
  readonly kilo: {
    readonly path: string
    /** The folder of Kilo's package, which also holds its helper programs; undefined for a program on its own. */
    readonly packageBin: string | undefined
  }
  readonly ripgrep: string | undefined
}

/** The folders of this machine that a room is made of. */
export interface RoomPlan {
  /** Identifies all processes of this room, for the server that finds them after a crash of this one. */
  readonly marker: string
  readonly worktree: string
  readonly own: string
  readonly given: string
  /** Undefined: those of the server. */
  readonly limits?: ProcessLimits | undefined
  readonly log: Log
}

export interface RoomCommand {
  readonly argv: readonly [program: string, ...args: string[]]
  /** The whole environment. */
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
  /** Without it standard input is empty. */
  readonly stdin?: 'pipe'
  /** The process and its group are killed when its output is closed. Otherwise they live as long as the room. */
  readonly endsWithOutput?: boolean
}

export interface ProcessExit {
  readonly code: number | null
  readonly signal: string | null
}

export interface RoomProcess {
  /** In the room's PID namespace. */
  readonly pid: number
  readonly stdin: Writable | undefined
  readonly stdout: Readable
  readonly stderr: Readable
  /** Never rejects: a process ends with its room at the latest. */
  readonly exited: Promise<ProcessExit>
  /** Ignored when the process has exited. `group`: also its children that have stayed in its group. */
  signal(name: NodeJS.Signals, target?: 'process' | 'group'): Promise<void>
}

export interface RunResult extends ProcessExit {
  readonly stdout: string
  readonly stderr: string
  /** The output was longer than `outputBytes`, or took longer than `timeoutMs`; then the process group was killed. */
  readonly cut: 'bytes' | 'time' | undefined
}

export interface RunLimits {
  readonly timeoutMs: number
  readonly outputBytes: number
}

export interface TtySize {
  readonly columns: number
  readonly rows: number
}

export interface RoomTerminal {
  readonly stream: Duplex
  readonly exited: Promise<ProcessExit>
  resize(size: TtySize): Promise<void>
}

export interface RoomStats {
  readonly processes: number
  /** Proportional set size: shared pages count in parts. */
  readonly memoryBytes: number
  readonly cpuMs: number
}

/** `asked`: the server closed it; `killed`: by a signal; `died`: its program exited. */
export interface RoomExit {
  readonly why: 'asked' | 'killed' | 'died'
  /** “exited with code 1”, “was ended by SIGKILL”. */
  readonly how: string
}

/** What the server lends to a room: a Unix socket of this machine, or a function that takes each connection. */
export type RoomService =
  | { readonly socketPath: string }
  | { readonly port: number; readonly host: string }
  | { readonly accept: (connection: Duplex) => void }

export type ServiceName = 'model' | 'egress'

/** One project's sandbox, with all processes that run because of the project. Disposing it ends them all. */
export interface Room extends AsyncDisposable {
  readonly kind: 'bubblewrap' | 'container' | 'plain'
  readonly network: 'closed' | 'shared'
  readonly paths: RoomPaths
  /** The process of this machine that the room ends with; a plain room has none. */
  readonly pid: number | undefined
  readonly exited: Promise<RoomExit>
  /** Rejects when the program cannot be started. */
  spawn(command: RoomCommand): Promise<RoomProcess>
  /** Runs a command to its end. */
  run(command: RoomCommand, limits: RunLimits): Promise<RunResult>
  /** Not available yet: rejects. */
  pty(command: RoomCommand, size: TtySize): Promise<RoomTerminal>
  /** Connects to 127.0.0.1:port in the room. */
  connect(port: number): Promise<Duplex>
  /** A port for a server in the room at which no process listens. */
  freePort(): Promise<number>
  /** Offers a service at 127.0.0.1:port in the room. */
  expose(service: ServiceName, port: number, lent: RoomService): Promise<void>
  /** The TCP ports at which a process of the room listens. */
  ports(): Promise<readonly number[]>
  /** The pids of its processes on this machine, as the server finds them without asking the room. */
  processes(): Promise<readonly number[]>
  stats(): Promise<RoomStats>
  /** Kills everything in the room immediately. Resolves when no process is left, or logs that one is. */
  kill(): Promise<void>
}

/** A way to make rooms on this machine. */
export interface RoomKind {
  readonly kind: Room['kind']
  readonly network: Room['network']
  /** `own`: each project has a user of this machine for itself. */
  readonly uid: 'own' | 'shared'
  /** Why such rooms are not possible on this machine; undefined when they are. */
  problem(): Promise<string | undefined>
  open(plan: RoomPlan): Promise<Room>
}
