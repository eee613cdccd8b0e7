import { Type } from 'typebox'
import { AppError } from '#kernel/errors.ts'
import { Health, type App } from '../app-deps.ts'
import type { RouteDeps } from '../route-deps.ts'
import { refusals } from '../schemas.ts'

const Ok = Type.Object({ status: Type.Literal('ok') }, { description: 'OK' })
const Numbers = {
  description: 'Metrics in the Prometheus text format',
  content: { 'text/plain': { schema: Type.String() } }
}
const watched = { watched: true, rateLimit: false } as const
const open = { tags: ['health'], security: [] }

/** For people, load balancers and Prometheus. Only the metrics need a key. */
export function healthRoutes(app: App, deps: RouteDeps): void {
  app.get(
    '/health',
    {
      config: watched,
      schema: {
        ...open,
        summary: 'Version and state of the server',
        response: { 200: Health, ...refusals }
      }
    },
    async () => deps.health()
  )

  app.get(
    '/livez',
    {
      config: watched,
      schema: { ...open, summary: 'Liveness', response: { 200: Ok } }
    },
    async () => ({ status: 'ok' as const })
  )

  app.get(
    '/readyz',
    {
      config: watched,
      schema: {
        ...open,
        summary: 'Readiness: a row and a file can be written, and the server is not shutting down',
        response: { 200: Ok, ...refusals }
      }
    },
    async () => {
      if (deps.signal.aborted)
        throw new AppError('shutting_down', 'The server is shutting down: retry later')
      const problem = await deps.ready()
      if (problem) throw problem
      return { status: 'ok' as const }
    }
  )

  app.get(
    '/metrics',
    {
      config: watched,
      onRequest: deps.authentication.requireOperator,
      schema: {
        tags: ['health'],
        summary: 'Prometheus metrics (operator only)',
        response: { 200: Numbers, ...refusals }
      }
    },
    async (_request, reply) => {
      void reply.type(deps.metrics.contentType)
      return deps.metrics.metrics()
    }
  )
}
