import type { Socket } from 'node:net'
import { Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { ROOM_LIMITS } from './room-limits.ts'
import type { ProcessExit } from './room.ts'

/** What the room's program sends on the control stream. Another line ends the room. */
const FromRoom = Compile(
  Type.Union([
    Type.Object({ request: Type.Integer(), result: Type.Unknown() }),
    Type.Object({ request: Type.Integer(), error: Type.String() }),
    Type.Object({
      event: Type.Literal('exit'),
      process: Type.String(),
      code: Type.Union([Type.Integer(), Type.Null()]),
      signal: Type.Union([Type.String(), Type.Null()])
    })
  ])
)

/** A request that the room's program refused, with its error code where it has one. */
export class RoomRefusal extends Error {
  override readonly name = 'RoomRefusal'
}

/** The requests to the program of one room, and its reports. */
export interface RoomControl {
  request(op: string, fields: object): Promise<unknown>
  /** Takes the stream of the room's program. A second one is refused: resolves with whether this was the first. */
  attach(socket: Socket): boolean
  /** Rejects everything that is pending. */
  end(): void
}

export interface RoomControlOptions {
  readonly onExit: (process: string, exit: ProcessExit) => void
  /** The stream ended, or carried something else than it should. */
  readonly onEnd: (why: 'closed' | 'garbage') => void
}

export function createRoomControl({ onExit, onEnd }: RoomControlOptions): RoomControl {
  const pending = new Map<number, PromiseWithResolvers<unknown>>()
  let stream: Socket | undefined
  let ended = false
  let lastId = 0

  const end = () => {
    ended = true
    stream?.destroy()
    for (const { reject } of pending.values()) reject(new RoomRefusal('the room has ended'))
    pending.clear()
  }

  const handle = (line: string): boolean => {
    const message = parse(line)
    if (!FromRoom.Check(message)) return false
    if ('event' in message) onExit(message.process, message)
    else if ('error' in message)
      pending.get(message.request)?.reject(new RoomRefusal(message.error))
    else pending.get(message.request)?.resolve(message.result)
    return true
  }

  const read = (socket: Socket) => {
    let rest = ''
    socket.setEncoding('utf8')
    socket.on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n')
      rest = lines.pop() ?? ''
      const isValid = rest.length <= ROOM_LIMITS.controlLineBytesMax && lines.every(handle)
      if (isValid) return
      onEnd('garbage')
      end()
    })
    socket.on('close', () => {
      onEnd('closed')
      end()
    })
  }

  return {
    async request(op, fields) {
      if (!stream || ended) throw new RoomRefusal('the room has ended')
      const request = (lastId += 1)
      const answer = Promise.withResolvers<unknown>()
      pending.set(request, answer)
      const timer = setTimeout(
        () =>
          answer.reject(
            new RoomRefusal(`no answer to ${op} within ${ROOM_LIMITS.requestMs / 1000} s`)
          ),
        ROOM_LIMITS.requestMs
      )
      stream.write(`${JSON.stringify({ request, op, ...fields })}\n`)
      try {
        return await answer.promise
      } finally {
        clearTimeout(timer)
        pending.delete(request)
      }
    },
    attach(socket) {
      if (stream || ended) return false
      stream = socket
      socket.allowHalfOpen = false
      read(socket)
      return true
    },
    end
  }
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}
