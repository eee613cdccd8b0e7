import type { Socket } from 'node:net'
import type { WebSocket } from '@fastify/websocket'
import { CLOSE } from './messages.ts'

/** A large message goes in pieces, so that a slow reader who is in the middle of it is seen to take something. */
const PIECE_BYTES = 64 * 1024

/** A socket, and the connection beneath it. */
export interface Line {
  readonly socket: WebSocket
  readonly wire: Pick<Socket, 'cork' | 'uncork'>
}

/** What waits for one reader. */
export interface Outbox {
  /** Takes the message, and says when there is room for the next one: false when there never will be. */
  send(message: object): Promise<boolean>
  /** For what is only worth saying now: dropped when too much waits already. */
  sendIfRoom(message: object): void
  /** Nobody waits for room any more. */
  close(): void
}

/**
 * A reader may let so many bytes wait. Beyond that its senders, and nobody else, wait with it; if it then takes
 * nothing for `stallMs` it is closed with 1013, and comes back for the rest.
 */
export function createOutbox(
  { socket, wire }: Line,
  limits: { readonly bytesMax: number; readonly stallMs: number }
): Outbox {
  let waitingBytes = 0
  let room: PromiseWithResolvers<void> | undefined
  let stalled: NodeJS.Timeout | undefined
  let gathering = false
  let takes = 0

  const isOpen = () => socket.readyState === socket.OPEN
  const isFull = () => waitingBytes > limits.bytesMax
  const giveUp = () => {
    socket.close(CLOSE.overload, 'too slow: come back with after')
    makeRoom()
  }
  // When we have been busy the timer rings before we learn what was taken meanwhile.
  const giveUpIfStalled = () => {
    const before = takes
    setImmediate(() => {
      if (stalled && takes === before) giveUp()
    })
  }
  const makeRoom = () => {
    clearTimeout(stalled)
    room?.resolve()
    room = stalled = undefined
  }
  const wait = (): Promise<void> => {
    stalled ??= setTimeout(giveUpIfStalled, limits.stallMs)
    room ??= Promise.withResolvers<void>()
    return room.promise
  }
  const taken = (bytes: number) => {
    waitingBytes -= bytes
    takes += 1
    // Something was taken: whoever takes is not stalled.
    stalled = stalled?.refresh()
    if (!isFull()) makeRoom()
  }
  // A page of frames is written in one breath, and leaves as one: each system call takes longer than making a frame.
  const gather = () => {
    if (gathering) return
    gathering = true
    wire.cork()
    process.nextTick(() => {
      gathering = false
      wire.uncork()
    })
  }
  const write = (message: object) => {
    gather()
    const bytes = Buffer.from(JSON.stringify(message))
    waitingBytes += bytes.length
    for (let from = 0; from < bytes.length; from += PIECE_BYTES) {
      const piece = bytes.subarray(from, from + PIECE_BYTES)
      const fin = from + PIECE_BYTES >= bytes.length
      socket.send(piece, { binary: false, fin }, () => taken(piece.length))
    }
  }

  return {
    async send(message) {
      // Of many that wait for the same room the first may fill it again.
      while (isOpen() && isFull()) await wait()
      if (!isOpen()) return false
      write(message)
      if (isFull()) await wait()
      return isOpen()
    },
    sendIfRoom: (message) => {
      if (isOpen() && !isFull()) write(message)
    },
    close: makeRoom
  }
}
