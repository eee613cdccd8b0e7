import { AppError } from '#kernel/errors.ts'
import { SUBPROTOCOL } from '#kernel/frames.ts'
import { LIMITS } from '#kernel/limits.ts'
import type { Log } from '#kernel/log.ts'
import type { AppDeps, Timings } from '../app-deps.ts'
import type { FieldError } from '../schema-refusal.ts'
import { hearMessages } from './inbox.ts'
import { keepAlive } from './keep-alive.ts'
import { CLOSE, type ClientMessage } from './messages.ts'
import { notice, type NoticeData } from './notices.ts'
import { createOutbox, type Line } from './outbox.ts'
import { createSubscriptions, type SubscriptionDeps, type Viewer } from './subscriptions.ts'

type ConnectionDeps = SubscriptionDeps & Pick<AppDeps, 'signal' | 'version'>

/** Serves one socket from `hello` to its close: it hears what to follow, and pushes what happens there. */
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
    () => socket.close(CLOSE.handshakeTooSlow, 'nothing was subscribed'),
    handshakeMs
  )
  const stopKeepingAlive = keepAlive(socket, timings, () => subscriptions.beat())
  const restart = () => {
    socket.close(CLOSE.restart, 'the server is stopping')
    // Whoever does not answer by then keeps the server from stopping.
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

  hearMessages(socket, answer, refuse)
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

  /** A message that means nothing is complained about; a project that one may not see ends the socket. */
  function refuse(err: unknown): void {
    if (socket.readyState !== socket.OPEN) return
    const code = err instanceof AppError ? err.code : 'internal'
    const message = err instanceof AppError ? err.message : 'something broke on our side'
    if (code === 'invalid_request') {
      return outbox.sendIfRoom(notice('error', { code, message, ...fieldsIn(err) }))
    }
    if (code === 'forbidden') return socket.close(CLOSE.forbidden, message)
    if (code === 'not_found') return socket.close(CLOSE.unknownProject, 'there is no such project')
    log.error({ err }, 'socket failed')
    socket.close(CLOSE.broken, message)
  }
}

/** Which fields were wrong, when it is about fields. */
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
