import websocket from '@fastify/websocket'
import { Gauge } from 'prom-client'
import { Type } from 'typebox'
import { AppError } from '#kernel/errors.ts'
import { SUBPROTOCOL } from '#kernel/frames.ts'
import { LIMITS } from '#kernel/limits.ts'
import type { App, AppDeps } from '../app-deps.ts'
import { userOf } from '../plugins/auth.ts'
import { serveConnection } from '../stream/connection.ts'
import { shakeHands, SOCKET_PATH } from '../stream/handshake.ts'
import { timingsOf } from '../app-deps.ts'
import { refusals } from '../schemas.ts'

/** Makes the server able to speak WebSocket. Before any route, for it looks at them all. */
export async function admitSockets(app: App): Promise<void> {
  await app.register(websocket, {
    options: {
      maxPayload: LIMITS.socketMessageBytesMax,
      perMessageDeflate: false,
      handleProtocols: (offered) => (offered.has(SUBPROTOCOL) ? SUBPROTOCOL : false)
    },
    errorHandler: (err, socket, request) => {
      request.log.debug({ err }, 'socket broke')
      socket.terminate()
    }
  })
}

/** The socket: it pushes what happens, and takes no commands. Whoever may not have one is refused before it opens. */
export function streamRoute(app: App, deps: AppDeps): void {
  const timings = timingsOf(deps.timings)
  const open = new Gauge({
    name: 'kilowatt_sockets',
    help: 'WebSockets that are open',
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
        ticket: Type.Optional(Type.String({ description: 'from POST /ws-tickets' }))
      }),
      response: { 101: Type.Null({ description: 'Frames follow' }), ...refusals }
    },
    preHandler: async (request) => {
      if (request.ws) await shakeHands(deps, request)
    },
    handler: async () => {
      throw new AppError('invalid_request', 'This address speaks WebSocket: ask for an upgrade')
    },
    wsHandler: (socket, request) => {
      const { onlyProject, log } = request
      open.inc()
      socket.once('close', () => open.dec())
      const viewer = { userId: userOf(request), onlyProject }
      serveConnection(deps, { socket, wire: request.raw.socket, viewer, log }, timings)
    }
  })
}
