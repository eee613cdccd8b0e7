import type { WebSocket } from '@fastify/websocket'
import { AppError } from '#kernel/errors.ts'
import { CLOSE, readMessage, refusedOf, type ClientMessage, type Refused } from './messages.ts'

const WAITING_MAX = 200

/** Handles the messages of a client one at a time, in order. A client with too many waiting messages is closed. */
export function handleMessages(
  socket: WebSocket,
  answer: (message: ClientMessage) => Promise<void>,
  refuse: (err: unknown, refused: Refused) => void
): void {
  let waiting = 0
  let last = Promise.resolve()

  const next = async (data: Buffer, isBinary: boolean) => {
    if (socket.readyState !== socket.OPEN) return
    if (isBinary) throw new AppError('invalid_request', 'message must be text')
    return answer(readMessage(data))
  }

  socket.on('message', (data: Buffer, isBinary: boolean) => {
    if (++waiting > WAITING_MAX) return socket.close(CLOSE.overload, 'too many unanswered messages')
    last = last
      .then(() => next(data, isBinary))
      .catch((err: unknown) => refuse(err, isBinary ? {} : refusedOf(data)))
      .finally(() => waiting--)
  })
}
