import type { WebSocket } from '@fastify/websocket'
import { AppError } from '#kernel/errors.ts'
import { CLOSE, readMessage, type ClientMessage } from './messages.ts'

const WAITING_MAX = 200

/** Answers what a client says in the order in which it was said, one message after the other. */
export function hearMessages(
  socket: WebSocket,
  answer: (message: ClientMessage) => Promise<void>,
  refuse: (err: unknown) => void
): void {
  let waiting = 0
  let last = Promise.resolve()

  const next = async (data: Buffer, isBinary: boolean) => {
    if (socket.readyState !== socket.OPEN) return
    if (isBinary) throw new AppError('invalid_request', 'message is not text')
    return answer(readMessage(data))
  }

  socket.on('message', (data: Buffer, isBinary: boolean) => {
    if (++waiting > WAITING_MAX) return socket.close(CLOSE.overload, 'too many messages at once')
    last = last
      .then(() => next(data, isBinary))
      .catch(refuse)
      .finally(() => waiting--)
  })
}
