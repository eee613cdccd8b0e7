import type { Socket } from 'node:net'
import type { WebSocket } from '@fastify/websocket'
import { CLOSE } from './messages.ts'

/** Large messages are sent in fragments, so that progress within one message counts as reading. */
const PIECE_BYTES = 64 * 1024

/** A socket and its TCP connection. */
export interface Line {
  readonly socket: WebSocket
  readonly wire: Pick<Socket, 'cork' | 'uncork'>
}

/** The send buffer of one socket. */
export interface Outbox {
  /** Sends the message; resolves when there is room for the next one, with false when the socket has closed. */
  send(message: object): Promise<boolean>
  /** Sends the message, or drops it when the buffer is full. */
  sendIfRoom(message: object): void
  /** Resolves all waiting senders. */
  close(): void
}

/**
 * Backpressure per socket: above `bytesMax` of unsent bytes its senders wait, and only its own. A socket that then
 * reads nothing for `stallMs` is closed with 1013; its client reconnects and continues from its cursor.
 */
export function createOutbox(
  { socket, wire }: Line,
  limits: { readonly bytesMax: number; readonly stallMs: number }
): Outbox {
  let waitingBytes = 0
  let room: PromiseWithResolvers<void> | undefined
  let stalled: NodeJS.Timeout | undefined
  let isCorked = false
  let writesDone = 0

  const isOpen = () => socket.readyState === socket.OPEN
  const isFull = () => waitingBytes > limits.bytesMax
  const closeStalled = () => {
    socket.close(CLOSE.overload, 'client too slow: reconnect with after')
    makeRoom()
  }
  // After a blocked event loop the timer fires before completed writes are reported: check once more after them.
  const closeIfStalled = () => {
    const before = writesDone
    setImmediate(() => {
      if (stalled && writesDone === before) closeStalled()
    })
  }
  const makeRoom = () => {
    clearTimeout(stalled)
    room?.resolve()
    room = stalled = undefined
  }
  const wait = (): Promise<void> => {
    stalled ??= setTimeout(closeIfStalled, limits.stallMs)
    room ??= Promise.withResolvers<void>()
    return room.promise
  }
  const taken = (bytes: number) => {
    waitingBytes -= bytes
    writesDone += 1
    // The client reads: it is not stalled.
    stalled = stalled?.refresh()
    if (!isFull()) makeRoom()
  }
  // Frames that are written in the same tick leave in one system call, which costs more than serialising a frame.
  const cork = () => {
    if (isCorked) return
    isCorked = true
    wire.cork()
    process.nextTick(() => {
      isCorked = false
      wire.uncork()
    })
  }
  const write = (message: object) => {
    cork()
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
      // Several senders may wait: the first of them may fill the buffer again.
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
