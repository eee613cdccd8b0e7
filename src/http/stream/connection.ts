import { AppError } from '#kernel/errors.ts'
import { SUBPROTOCOL } from '#kernel/frames.ts'
import { LIMITS } from '#kernel/limits.ts'
import type { Log } from '#kernel/log.ts'
import type { AppDeps, Timings } from '../app-deps.ts'
import type { FieldError } from '../schema-refusal.ts'
import { handleMessages } from './inbox.ts'
import { keepAlive } from './keep-alive.ts'
import { CLOSE, type ClientMessage, type Refused } from './messages.ts'
import { notice, type NoticeData } from './notices.ts'
import { createOutbox, type Line } from './outbox.ts'
import { createSubscriptions, type SubscriptionDeps, type Viewer } from './subscriptions.ts'

type ConnectionDeps = SubscriptionDeps & Pick<AppDeps, 'signal' | 'version'>

/** Serves one socket from `hello` to its close: handles its messages, and sends the frames of its subscriptions. */
export function serveConnection(
  deps: ConnectionDeps,
  { viewer, log, ...line }: Line & { readonly viewer: Viewer; readonly log: Log },
  timings: Timings
): void {
  const { socket } = line
  const { stallMs, handshakeMs } = timings
  const outbox = createOutbox(line, { bytesMax: LIMITS.socketBufferBytesMax, stallMs })
  const subscriptions = createSubscriptions(deps, outbox, viewer, refuse)
  const handshake = setTimeout(
    () => socket.close(CLOSE.handshakeTooSlow, 'no subscription in time'),
    handshakeMs
  )
  const stopKeepingAlive = keepAlive(socket, timings, () => subscriptions.beat())
  const restart = () => {
    socket.close(CLOSE.restart, 'server is shutting down')
    // A client that does not complete the close handshake must not delay the shutdown.
    setTimeout(() => socket.terminate(), stallMs).unref()
  }
  deps.signal.addEventListener('abort', restart)
  socket.once('close', () => {
    clearTimeout(handshake)
    stopKeepingAlive()
    deps.signal.removeEventListener('abort', restart)
    subscriptions.end()
    outbox.close()
  })

  handleMessages(socket, answer, refuse)
  outbox.sendIfRoom(hello(deps.version, timings))
  if (deps.signal.aborted) restart()

  async function answer(message: ClientMessage): Promise<void> {
    switch (message.type) {
      case 'subscribe':
        clearTimeout(handshake)
        return subscriptions.add(message)
      case 'unsubscribe':
        return subscriptions.drop(message.projectId)
      case 'ping':
        return outbox.sendIfRoom(notice('pong', {}))
    }
  }

  /**
   * An invalid message is answered with `error`, and so is a project that does not exist, as long as the socket has others.
   * Without others, or when the project is forbidden, the socket is closed.
   */
  function refuse(err: unknown, { projectId, id }: Refused): void {
    if (socket.readyState !== socket.OPEN) return
    const code = err instanceof AppError ? err.code : 'internal'
    const message = err instanceof AppError ? err.message : 'internal server error'
    if (code === 'invalid_request' || (code === 'not_found' && subscriptions.count() > 0)) {
      const named = { code, message, ...(id !== undefined && { id }), ...fieldsIn(err) }
      return outbox.sendIfRoom(notice('error', named, projectId))
    }
    if (code === 'forbidden') return socket.close(CLOSE.forbidden, message)
    if (code === 'not_found') return socket.close(CLOSE.unknownProject, 'unknown project')
    log.error({ err }, 'socket failed')
    socket.close(CLOSE.broken, message)
  }
}

/** The invalid fields, if the refusal lists them. */
function fieldsIn(err: unknown): Pick<NoticeData<'error'>, 'errors'> {
  const errors = err instanceof AppError ? err.facts['errors'] : undefined
  return errors === undefined ? {} : { errors: errors as FieldError[] }
}

const hello = (serverVersion: string, { heartbeatMs }: Timings) =>
  notice('hello', {
    protocol: SUBPROTOCOL,
    serverVersion,
    heartbeatMs,
    limits: {
      subscriptions: LIMITS.socketSubscriptionsMax,
      messageBytes: LIMITS.socketMessageBytesMax,
      waitingBytes: LIMITS.socketBufferBytesMax
    }
  })
