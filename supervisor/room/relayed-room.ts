import type { Socket } from 'node:net'
import { Type } from 'typebox'
import { Compile } from 'typebox/compile'
import type { Log } from '#kernel/log.ts'
import { within } from '#kernel/waiting.ts'
import { MARKER } from '../process/tree.ts'
import { openRoomHost, type RoomHost } from './room-host.ts'
import { ROOM_LIMITS } from './room-limits.ts'
import type { ProcessExit, Room, RoomCommand, RoomProcess } from './room.ts'
import { ended, noTerminals, runCommand } from './run-command.ts'

/** The operations of a room whose program dials the server. How the room is started and ended is its kind's business. */
export type RelayedOperations = Pick<
  Room,
  'spawn' | 'run' | 'pty' | 'connect' | 'freePort' | 'expose' | 'ports'
>

export interface Relay extends AsyncDisposable, RelayedOperations {
  readonly token: string
  readonly connected: Promise<void>
  /** The room has ended: all its processes count as killed. */
  end(): void
}

export interface RelayOptions {
  /** Set in the environment of every process. */
  readonly marker: string
  readonly folder: string
  readonly log: Log
  /** The room's program has exited or sent garbage: the room must be ended. */
  readonly onEnd: () => void
}

const Spawned = Compile(Type.Object({ pid: Type.Integer({ minimum: 1 }) }))
const Ports = Compile(
  Type.Array(Type.Integer({ minimum: 1, maximum: 65_535 }), { maxItems: 65_535 })
)

/** Ports that a server in the room is given: above those that the kernel chooses, so no program takes one by chance. */
const FIRST_PORT = 61_000
const KILLED: ProcessExit = { code: null, signal: 'SIGKILL' }

/** Opens the server's end of a room, before its program is started. */
export async function openRelay(options: RelayOptions): Promise<Relay> {
  const running = new Map<string, (exit: ProcessExit) => void>()
  const end = () => {
    for (const exited of running.values()) exited(KILLED)
    running.clear()
  }
  const host = await openRoomHost({
    folder: options.folder,
    log: options.log,
    onExit(process, exit) {
      running.get(process)?.({ code: exit.code, signal: exit.signal })
      running.delete(process)
    },
    onEnd() {
      end()
      options.onEnd()
    }
  })
  let lastId = 0
  let lastPort = FIRST_PORT
  const nextId = () => String((lastId += 1))

  const spawn = async (command: RoomCommand): Promise<RoomProcess> => {
    const id = nextId()
    const exited = new Promise<ProcessExit>((resolve) => running.set(id, resolve))
    try {
      return await spawnIn(
        host,
        id,
        { ...command, env: { ...command.env, [MARKER]: options.marker } },
        exited
      )
    } catch (error) {
      running.delete(id)
      throw error
    }
  }

  return {
    token: host.token,
    connected: host.connected,
    end,
    spawn,
    run: (command, limits) => runCommand({ spawn }, command, limits),
    pty: noTerminals,
    async connect(port) {
      const id = nextId()
      const { streams } = await host.requestStreams('connect', { id, port }, [id])
      return streams[0] as Socket
    },
    freePort: () => Promise.resolve((lastPort += 1)),
    async expose(service, port, lent) {
      host.lend(port, lent)
      // An answer of a model that was cut off must not look complete to its reader.
      await host.request('expose', { port, resets: service === 'model' })
    },
    async ports() {
      const ports = await host.request('ports', {})
      if (!Ports.Check(ports)) throw new Error('the room did not list its ports')
      return ports
    },
    async [Symbol.asyncDispose]() {
      await host[Symbol.asyncDispose]()
      end()
    }
  }
}

async function spawnIn(
  host: RoomHost,
  id: string,
  command: RoomCommand,
  exited: Promise<ProcessExit>
): Promise<RoomProcess> {
  const names = ['stdout', 'stderr', ...(command.stdin ? ['stdin'] : [])]
  const { result, streams } = await host.requestStreams(
    'spawn',
    { id, ...command },
    names.map((name) => `${id} ${name}`)
  )
  if (!Spawned.Check(result)) throw new Error('the room did not report a pid')
  const [stdout, stderr, stdin] = streams as [Socket, Socket, Socket | undefined]
  // With half-open streams a closed output or input would leave its other direction, and the process, behind.
  for (const stream of streams) stream.allowHalfOpen = false
  const outputEnded = Promise.all([ended(stdout), ended(stderr)])
  return {
    pid: result.pid,
    stdin,
    stdout,
    stderr,
    // The report of the exit may overtake the last output, which travels on connections of its own.
    exited: exited.then(async (exit) => {
      await within(outputEnded, ROOM_LIMITS.outputEndMs)
      return exit
    }),
    async signal(name, target = 'process') {
      await host.request('signal', { id, signal: name, group: target === 'group' })
    }
  }
}
