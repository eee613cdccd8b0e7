import type { Socket } from 'node:net'
import { AppError } from '#kernel/errors.ts'
import type { App } from '../app-deps.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** For monitoring: answered during shutdown, and not rate limited. */
    watched?: true
  }
}

/** Refuses requests with `shutting_down` once the signal has aborted. */
export function refuseWhenStopping(app: App, signal: AbortSignal): void {
  app.addHook('onRequest', async (request, reply) => {
    if (!signal.aborted || request.routeOptions.config.watched) return
    void reply.header('connection', 'close')
    throw new AppError('shutting_down', 'The server is shutting down: retry later')
  })
}

/**
 * Closes connections without a request as soon as the app is closed. Node does not count them as idle, so
 * `closeIdleConnections` leaves them open until the timeout of their headers: browsers and undici open some ahead, and
 * each would hold a stopping server for more than a minute.
 */
export function closeSilentConnections(app: App): void {
  const silent = new Set<Socket>()
  let isClosing = false

  app.server.on('connection', (socket: Socket) => {
    if (isClosing) return void socket.destroy()
    silent.add(socket)
    socket.once('close', () => silent.delete(socket))
  })
  for (const event of ['request', 'upgrade'] as const) {
    app.server.on(event, ({ socket }: { socket: Socket }) => silent.delete(socket))
  }
  app.addHook('preClose', async () => {
    isClosing = true
    for (const socket of silent) socket.destroy()
  })
}
