import type { WebSocket } from '@fastify/websocket'
import { AppError } from '#kernel/errors.ts'
import type { ProjectId, UserId } from '#kernel/ids.ts'
import { LIMITS } from '#kernel/limits.ts'
import type { Log } from '#kernel/log.ts'
import { SUBPROTOCOL } from '#kernel/frames.ts'
import type { AppDeps, Timings } from '../app-deps.ts'
import { keepAlive } from './keep-alive.ts'
import { CLOSE, notice, readMessage, type ClientMessage } from './messages.ts'
import { createOutbox } from './outbox.ts'
import { follow, stillOwned, type Progress, type SubscriptionDeps } from './subscription.ts'

export interface Connection {
  readonly socket: WebSocket
  readonly userId: UserId
  readonly onlyProject: ProjectId | null
  readonly log: Log
}

type ConnectionDeps = SubscriptionDeps & Pick<AppDeps, 'signal' | 'version'>

interface Running {
  readonly stop: AbortController
  readonly progress: Progress
}

const MESSAGES_WAITING_MAX = 100

/** Serves one socket from `hello` to its close: it listens to subscriptions, and pushes what they bring. */
export function serveConnection(
  deps: ConnectionDeps,
  { socket, userId, onlyProject, log }: Connection,
  timings: Timings
): void {
  const running = new Map<ProjectId, Running>()
  const outbox = createOutbox(socket, { bytesMax: LIMITS.socketBufferBytesMax, ...timings })
  const complain = (message: string) =>
    outbox.mention(notice('error', { code: 'invalid_request', message }))

  const handshake = setTimeout(
    () => socket.close(CLOSE.handshakeTooSlow, 'nothing was subscribed'),
    timings.handshakeMs
  )
  const stopKeepingAlive = keepAlive(socket, timings, beat)
  const restart = () => {
    socket.close(CLOSE.restart, 'the server is stopping')
    setTimeout(() => socket.terminate(), timings.stallMs).unref()
  }
  deps.signal.addEventListener('abort', restart)

  async function subscribe({ projectId, after }: Extract<ClientMessage, { type: 'subscribe' }>) {
    clearTimeout(handshake)
    if (onlyProject && projectId !== onlyProject) {
      return socket.close(CLOSE.forbidden, 'this ticket opens another project')
    }
    const project = await stillOwned(deps, userId, projectId)
    const stop = new AbortController()
    const progress: Progress = { lastSeq: null }
    unsubscribe(project.id)
    if (running.size >= LIMITS.socketSubscriptionsMax) {
      return complain(`A socket has at most ${LIMITS.socketSubscriptionsMax} subscriptions`)
    }
    running.set(project.id, { stop, progress })
    const subscription = { userId, projectId: project.id, after }
    follow(deps, outbox, subscription, progress, stop.signal).catch(closeFor)
  }

  function unsubscribe(projectId: string) {
    running.get(projectId as ProjectId)?.stop.abort()
    running.delete(projectId as ProjectId)
  }

  async function answer(message: ClientMessage) {
    switch (message.type) {
      case 'subscribe':
        return subscribe(message)
      case 'unsubscribe':
        return unsubscribe(message.projectId)
      case 'ping':
        return outbox.mention(notice('pong', {}))
    }
  }

  /** Says how far each subscription has come, and ends with a project that is no longer the user's. */
  function beat() {
    for (const [projectId, { progress }] of running) {
      if (progress.lastSeq === null) continue
      outbox.mention(notice('heartbeat', { projectId, lastSeq: progress.lastSeq }, projectId))
      stillOwned(deps, userId, projectId).catch(closeFor)
    }
  }

  function closeFor(err: unknown) {
    if (socket.readyState !== socket.OPEN) return
    if (err instanceof AppError && err.code === 'not_found') {
      return socket.close(CLOSE.unknownProject, 'there is no such project')
    }
    log.error({ err }, 'socket failed')
    socket.close(CLOSE.broken, 'something broke on our side')
  }

  function end() {
    clearTimeout(handshake)
    stopKeepingAlive()
    deps.signal.removeEventListener('abort', restart)
    for (const projectId of running.keys()) unsubscribe(projectId)
    outbox.close()
  }

  // One message after the other, and not too many in line.
  let waiting = 0
  let last = Promise.resolve()
  socket.on('message', (data: Buffer, isBinary: boolean) => {
    const message = isBinary ? undefined : readMessage(data)
    if (!message) return complain('This message is not one that we know')
    if (++waiting > MESSAGES_WAITING_MAX) return socket.close(CLOSE.overload, 'too many messages')
    last = last
      .then(() => (socket.readyState === socket.OPEN ? answer(message) : undefined))
      .catch(closeFor)
      .finally(() => waiting--)
  })
  socket.once('close', end)

  outbox.mention(
    notice('hello', {
      protocol: SUBPROTOCOL,
      serverVersion: deps.version,
      heartbeatMs: timings.heartbeatMs,
      limits: {
        subscriptions: LIMITS.socketSubscriptionsMax,
        messageBytes: LIMITS.socketMessageBytesMax,
        bufferBytes: LIMITS.socketBufferBytesMax
      }
    })
  )
  if (deps.signal.aborted) restart()
}
