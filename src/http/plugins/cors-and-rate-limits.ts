import cors from '@fastify/cors'
import rateLimit from '@fastify/rate-limit'
import { AppError } from '#kernel/errors.ts'
import { LIMITS } from '#kernel/limits.ts'
import type { App } from '../app-deps.ts'

const EXPOSED = [
  'etag',
  'location',
  'retry-after',
  'x-request-id',
  'idempotent-replayed',
  'x-ratelimit-limit',
  'x-ratelimit-remaining',
  'x-ratelimit-reset'
]

/** Allows browser scripts of the allowed origins; scripts of other origins cannot read a response. */
export async function admitBrowsers(app: App, allowedOrigins: readonly string[]): Promise<void> {
  await app.register(cors, {
    origin: allowedOrigins.length > 0 ? [...allowedOrigins] : false,
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
    exposedHeaders: EXPOSED,
    maxAge: 600,
    strictPreflight: false
  })
  app.addHook('onRequest', async (_request, reply) => {
    void reply.header('x-content-type-options', 'nosniff')
  })
}

/** Limits requests per minute and user; unauthenticated requests are counted by IP address. */
export async function limitRates(app: App, perMinute: number = LIMITS.requestsPerMinuteMax) {
  await app.register(rateLimit, {
    max: perMinute,
    timeWindow: 60_000,
    keyGenerator: ({ userId, ip }) => userId ?? ip,
    errorResponseBuilder: (_request, { max }) =>
      new AppError(
        'rate_limited',
        `The rate limit of ${max} requests per minute is exceeded: retry after Retry-After`
      )
  })
}
