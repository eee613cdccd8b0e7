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
