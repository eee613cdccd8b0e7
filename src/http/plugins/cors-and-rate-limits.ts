import cors from '@fastify/cors'
import rateLimit from '@fastify/rate-limit'
import type { FastifyRequest } from 'fastify'
import { AppError } from '#kernel/errors.ts'
import { LIMITS } from '#kernel/limits.ts'
import { networkOf } from '#net'
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
}

/**
 * Limits requests per minute and user; unauthenticated requests are counted by IP address. The plugin counts a request
 * after its authentication, so the returned function counts one that is refused before: it throws when the limit is
 * exceeded.
 */
export async function limitRates(
  app: App,
  perMinute: number = LIMITS.requestsPerMinuteMax
): Promise<(request: FastifyRequest) => Promise<void>> {
  await app.register(rateLimit, {
    max: perMinute,
    timeWindow: 60_000,
    keyGenerator: ({ userId, ip }) => userId ?? networkOf(ip),
    errorResponseBuilder: (_request, { max }) => exceeded(max)
  })
  const count = app.createRateLimit()
  return async (request) => {
    const limit = await count(request)
    if (limit.isAllowed || !limit.isExceeded) return
    throw exceeded(limit.max, { retryAfterSeconds: limit.ttlInSeconds })
  }
}

const exceeded = (max: number, facts: Record<string, unknown> = {}) =>
  new AppError(
    'rate_limited',
    `The rate limit of ${max} requests per minute is exceeded: retry after Retry-After`,
    facts
  )
