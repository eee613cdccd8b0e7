import websocket, { type WebSocket } from '@fastify/websocket'
import { Gauge } from 'prom-client'
import { Type } from 'typebox'
import { AppError } from '#kernel/errors.ts'
import { SUBPROTOCOL } from '#kernel/frames.ts'
import { LIMITS } from '#kernel/limits.ts'
import type { App, Timings } from '../app-deps.ts'
import type { RouteDeps } from '../route-deps.ts'
import { userOf } from '../plugins/auth.ts'
import { serveConnection } from '../stream/connection.ts'
import { authenticateUpgrade, SOCKET_PATH } from '../stream/handshake.ts'
import type { Connection } from '../stream/live-connections.ts'
import { CLOSE } from '../stream/messages.ts'
import { timingsOf } from '../app-deps.ts'
import { refusals } from '../schemas.ts'

/** Registers the WebSocket plugin. It hooks into every route, so it is registered before them. */
export async function admitSockets(app: App): Promise<void> {
  await app.register(websocket, {
    options: {
      maxPayload: LIMITS.socketMessageBytesMax,
      perMessageDeflate: false,
      handleProtocols: (offered) => (offered.has(SUBPROTOCOL) ? SUBPROTOCOL : false)
    },
    errorHandler: (err, socket, request) => {
      request.log.debug({ err }, 'websocket error')
      socket.terminate()
    }
  })
}

/** The socket sends frames and accepts subscriptions, no commands. Authentication happens before the upgrade. */
export function streamRoute(app: App, deps: RouteDeps): void {
  const timings = timingsOf(deps.timings)
  const open = new Gauge({
    name: 'kilowatt_sockets',
    help: 'Open WebSockets',
    registers: [deps.metrics]
  })

  app.route({
    method: 'GET',
    url: SOCKET_PATH,
    exposeHeadRoute: false,
    schema: {
      tags: ['events'],
      summary: `WebSocket, subprotocol ${SUBPROTOCOL}`,
      querystring: Type.Object({
        ticket: Type.Optional(Type.String({ description: 'a ticket from POST /ws-tickets' }))
      }),
      response: { 101: Type.Null({ description: 'Frames follow' }), ...refusals }
    },
    preHandler: async (request) => {
      if (!request.ws) return
      await authenticateUpgrade(deps, request)
      // Before 101, and until the connection is closed, whether or not the upgrade succeeds.
      const connection = deps.connections.admit(request)
      request.raw.socket.once('close', () => connection[Symbol.dispose]())
      request.connection = connection
    },
    handler: async () => {
      throw new AppError('invalid_request', 'This address only accepts WebSocket upgrades')
    },
    wsHandler: (socket, request) => {
      const { onlyProject, log, connection } = request
      open.inc()
      socket.once('close', () => open.dec())
      const viewer = { userId: userOf(request), onlyProject }
      closeWithKey(socket, connection, timings)
      serveConnection(deps, { socket, wire: request.raw.socket, viewer, log }, timings)
    }
  })
}

function closeWithKey(
  socket: WebSocket,
  connection: Connection | null,
  { stallMs }: Timings
): void {
  connection?.keyEnded.addEventListener('abort', () => {
    socket.close(CLOSE.unauthenticated, 'the API key was revoked or has expired')
    // A client that does not complete the close handshake must not stay connected.
    setTimeout(() => socket.terminate(), stallMs).unref()
  })
}
