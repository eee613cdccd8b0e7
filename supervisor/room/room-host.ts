import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, constants, openSync } from 'node:fs'
import { chmod, rm } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import type { Log } from '#kernel/log.ts'
import { readHello } from './hello.ts'
import { createRoomControl } from './room-control.ts'
import { ROOM_LIMITS } from './room-limits.ts'
import { serve } from './room-services.ts'
import { createRoomStreams } from './room-streams.ts'
import type { ProcessExit, RoomService } from './room.ts'

/** The name of the server's socket in the folder that a room sees read-only. */
export const SOCKET_NAME = 'room.sock'

/** The server's end of a room whose program dials: bubblewrap's today, a container's later. */
export interface RoomHost extends AsyncDisposable {
  /** What the room's program must present. It is passed on its standard input, where no other program can read it. */
  readonly token: string
  /** Resolves when the room's program has connected. */
  readonly connected: Promise<void>
  request(op: string, fields: object): Promise<unknown>
  /** Asks the room for streams together with an operation: none is left waiting when the room refuses. */
  requestStreams(
    op: string,
    fields: object,
    streams: readonly string[]
  ): Promise<{ readonly result: unknown; readonly streams: readonly Socket[] }>
  lend(port: number, service: RoomService): void
}

export interface RoomHostOptions {
  /** The room sees it read-only; nothing of the room can write here. */
  readonly folder: string
  readonly log: Log
  readonly onExit: (process: string, exit: ProcessExit) => void
  /** The control stream has ended, so the room's program has exited, or it sent garbage. The room must be ended. */
  readonly onEnd: () => void
}

/**
 * Listens for one room. The room dials, because a socket of the room's own would lie in a folder that the agent can write:
 * the agent could replace it with a link and receive the server's requests. A room's token is no proof of who dials, since
 * the agent shares the user of the room's program; it keeps other rooms and users out.
 */
export async function openRoomHost(options: RoomHostOptions): Promise<RoomHost> {
  const { folder, log } = options
  const token = randomBytes(32).toString('base64url')
  const connected = Promise.withResolvers<void>()
  // The start of the room may fail before anything awaits it.
  connected.promise.catch(() => {})
  const services = new Map<number, RoomService>()
  const streams = createRoomStreams()
  const sockets = new Set<Socket>()
  let unnamed = 0

  const end = () => {
    connected.reject(new Error('the program of the room ended before it connected'))
    streams.end()
  }
  const control = createRoomControl({
    onExit: options.onExit,
    onEnd(why) {
      if (why === 'garbage') log.warn({}, 'room sent an unreadable message')
      end()
      options.onEnd()
    }
  })

  /** False: the connection is not for anything that exists. */
  const assign = async (socket: Socket): Promise<boolean> => {
    const hello = await readHello(socket, token)
    if (hello?.for === 'control') {
      if (!control.attach(socket)) return false
      connected.resolve()
      return true
    }
    if (hello?.for === 'stream') return streams.arrived(hello.stream, socket)
    const service = hello && services.get(hello.port)
    if (service) serve(socket, service)
    return service !== undefined
  }

  const server = createServer({ allowHalfOpen: true }, (socket) => {
    if (unnamed >= ROOM_LIMITS.unnamedMax) return void socket.destroy()
    sockets.add(socket)
    // Its user handles the error; an unassigned socket has none.
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    unnamed += 1
    void assign(socket).then((isAssigned) => {
      unnamed -= 1
      if (!isAssigned) socket.destroy()
    })
  })
  server.maxConnections = ROOM_LIMITS.connectionsMax
  const closeServer = await listenIn(folder, server)

  return {
    token,
    connected: connected.promise,
    request: control.request,
    async requestStreams(op, fields, ids) {
      const expected = Promise.all(ids.map((id) => streams.expect(id)))
      expected.catch(() => {})
      try {
        const result = await control.request(op, fields)
        return { result, streams: await expected }
      } catch (error) {
        ids.forEach(streams.forget)
        throw error
      }
    },
    lend: (port, service) => void services.set(port, service),
    async [Symbol.asyncDispose]() {
      control.end()
      end()
      for (const socket of sockets) socket.destroy()
      await closeServer()
    }
  }
}

/**
 * Listens at a socket in this folder. The path of a socket has at most 107 bytes, which a data folder may exceed, so it is
 * reached through the folder's descriptor. That stays open until the server is closed, because closing unlinks the path.
 */
async function listenIn(folder: string, server: Server): Promise<() => Promise<void>> {
  // A server that crashed leaves its socket behind.
  await rm(join(folder, SOCKET_NAME), { force: true })
  const fd = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW)
  server.listen(`/proc/self/fd/${fd}/${SOCKET_NAME}`)
  await once(server, 'listening').catch((error: unknown) => {
    closeSync(fd)
    throw error
  })
  server.unref()
  // Only this room sees the folder; its user may be another one than that of the server.
  await chmod(join(folder, SOCKET_NAME), 0o666)
  let closing: Promise<void> | undefined
  const close = async () => {
    const closed = once(server, 'close')
    server.close()
    await closed
    closeSync(fd)
  }
  return () => (closing ??= close())
}
