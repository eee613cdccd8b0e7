import type { Socket } from 'node:net'
import { ROOM_LIMITS } from './room-limits.ts'

/** The streams that the server has asked a room for, and that the room's program will dial. */
export interface RoomStreams {
  /** Must be called before the room is asked. Rejects when the stream does not arrive in time, or the room ends. */
  expect(id: string): Promise<Socket>
  /** The stream is not awaited any more: the room has refused the request. */
  forget(id: string): void
  /** Passes a stream that was dialled to its request; false when no request awaits it. */
  arrived(id: string, socket: Socket): boolean
  end(): void
}

export function createRoomStreams(): RoomStreams {
  const awaited = new Map<string, PromiseWithResolvers<Socket>>()

  return {
    expect(id) {
      const stream = Promise.withResolvers<Socket>()
      // The request itself may fail first, and then nothing awaits the stream.
      stream.promise.catch(() => {})
      awaited.set(id, stream)
      const timer = setTimeout(
        () => stream.reject(new Error('the room did not open the stream in time')),
        ROOM_LIMITS.requestMs
      )
      return stream.promise.finally(() => {
        clearTimeout(timer)
        awaited.delete(id)
      })
    },
    forget: (id) => awaited.get(id)?.reject(new Error('the room refused the stream')),
    arrived(id, socket) {
      const stream = awaited.get(id)
      stream?.resolve(socket)
      return stream !== undefined
    },
    end() {
      for (const { reject } of awaited.values()) reject(new Error('the room has ended'))
    }
  }
}
