import { Type } from 'typebox'
import { AppError } from '#kernel/errors.ts'
import { Health, type App, type AppDeps } from '../app-deps.ts'
import { refusals } from '../schemas.ts'

const Ok = Type.Object({ status: Type.Literal('ok') }, { description: 'Yes' })
const Numbers = {
  description: 'The numbers, as text',
  content: { 'text/plain': { schema: Type.String() } }
}
const watched = { watched: true, rateLimit: false } as const
const open = { tags: ['health'], security: [] }

/** What a person, a load balancer and Prometheus ask; none of it needs a key. */
export function healthRoutes(app: App, deps: AppDeps): void {
  app.get(
    '/health',
    {
      config: watched,
      schema: { ...open, summary: 'What runs here', response: { 200: Health, ...refusals } }
    },
    async () => deps.health()
  )

  app.get(
    '/livez',
    {
      config: watched,
      schema: { ...open, summary: 'Is the process alive?', response: { 200: Ok } }
    },
    async () => ({ status: 'ok' as const })
  )

  app.get(
    '/readyz',
    {
      config: watched,
      schema: { ...open, summary: 'Can it take work?', response: { 200: Ok, ...refusals } }
    },
    async () => {
      if (deps.signal.aborted) throw new AppError('shutting_down', 'The server is stopping')
      if (!(await deps.ready())) throw new AppError('database_unavailable', 'Not ready')
      return { status: 'ok' as const }
    }
  )

  app.get(
    '/metrics',
    {
      config: watched,
      schema: { ...open, summary: 'Numbers for Prometheus', response: { 200: Numbers } }
    },
    async (_request, reply) => {
      void reply.type(deps.metrics.contentType)
      return deps.metrics.metrics()
    }
  )
}
