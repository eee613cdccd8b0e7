import { AppError } from '#kernel/errors.ts'
import type { App } from '../app-deps.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Answered even while the server stops, and never rate limited: somebody watches it. */
    watched?: true
  }
}

/** Once the signal has aborted, what still comes in is sent away to come back. */
export function refuseWhenStopping(app: App, signal: AbortSignal): void {
  app.addHook('onRequest', async (request, reply) => {
    if (!signal.aborted || request.routeOptions.config.watched) return
    void reply.header('connection', 'close')
    throw new AppError('shutting_down', 'The server is stopping')
  })
}
