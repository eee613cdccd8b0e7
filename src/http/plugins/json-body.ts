import type { FastifyRequest } from 'fastify'
import { AppError } from '#kernel/errors.ts'
import { LIMITS } from '#kernel/limits.ts'
import {
  createBodyBudget,
  createJsonParser,
  discardUnreadBody,
  readBody,
  type BodyRefusal,
  type BodyShare
} from '#net'
import type { App, Timings } from '../app-deps.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The bytes of the body, until the answer is sent. */
    bodyShare: BodyShare | null
  }
}

/**
 * Accepts bodies of JSON in UTF-8; an empty body with `Content-Type: application/json` counts as absent. Each route
 * limits the size; depth, number of values, rate, and the bytes of concurrent bodies are limited for all.
 */
export function readJsonBodies(app: App, timings: Timings): void {
  const parser = createJsonParser()
  const budget = createBodyBudget({
    ownerBytesMax: LIMITS.bodiesPerUserBytesMax,
    bytesMax: LIMITS.bodiesBytesMax
  })
  const rules = {
    depthMax: LIMITS.bodyDepthMax,
    valuesMax: LIMITS.bodyValuesMax,
    graceMs: timings.bodyGraceMs,
    bytesPerSecondMin: LIMITS.bodyBytesPerSecondMin
  }

  app.decorateRequest('bodyShare', null)
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', async (request: FastifyRequest) => {
    // No client is authenticated for an address without a route, so its body is not read.
    if (request.is404) return undefined
    const bytesMax = request.routeOptions.bodyLimit
    // Routes with a body authenticate before it is read: only the operator has no user id.
    const share = budget.open(request.userId ?? 'operator')
    request.bodyShare = share
    const body = await readBody(request.raw, request.headers, { ...rules, bytesMax }, share)
    if (body.kind === 'refused') throw refusalOf(body.why, bytesMax)
    if (body.bytes.length === 0) return undefined
    const { value } = await parser.parse(body.bytes).catch((error: unknown) => {
      throw error instanceof SyntaxError || error instanceof TypeError ? notJson() : error
    })
    if (hasPrototype(value)) throw notJson()
    return value
  })

  app.addHook('onResponse', async ({ raw, bodyShare }) => {
    bodyShare?.[Symbol.dispose]()
    discardUnreadBody(raw, timings.unreadBodyMs)
  })
  app.addHook('onClose', () => parser[Symbol.asyncDispose]())
}

/** Whether an object contains a key that assigns a prototype in careless code. */
function hasPrototype(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  return Object.entries(value).some(
    ([key, inner]) => key === '__proto__' || isPrototypeOf(key, inner) || hasPrototype(inner)
  )
}

const isPrototypeOf = (key: string, inner: unknown) =>
  key === 'constructor' &&
  typeof inner === 'object' &&
  inner !== null &&
  Object.hasOwn(inner, 'prototype')

const notJson = () => new AppError('invalid_request', 'The body must be valid JSON in UTF-8')

function refusalOf(why: BodyRefusal, limitBytes: number): AppError {
  switch (why) {
    case 'too-large': {
      const detail = `The body is larger than the limit of ${limitBytes} bytes`
      return new AppError('payload_too_large', detail, { limitBytes })
    }
    case 'too-deep': {
      const limitDepth = LIMITS.bodyDepthMax
      const detail = `The body is nested deeper than the limit of ${limitDepth} levels`
      return new AppError('invalid_request', detail, { limitDepth })
    }
    case 'too-many-values': {
      const limitValues = LIMITS.bodyValuesMax
      const detail = `The body has more than ${limitValues} elements and fields`
      return new AppError('payload_too_large', detail, { limitValues })
    }
    case 'too-slow':
      return new AppError(
        'request_timeout',
        `The body arrives slower than ${LIMITS.bodyBytesPerSecondMin} bytes per second`
      )
    case 'owner-full':
      return new AppError(
        'rate_limited',
        `Your concurrent requests have more than ${LIMITS.bodiesPerUserBytesMax} bytes of bodies: retry after Retry-After`,
        { retryAfterSeconds: 1 }
      )
    case 'all-full':
      return new AppError(
        'rate_limited',
        'The server is reading too many large bodies: retry after Retry-After',
        { retryAfterSeconds: 1 }
      )
    case 'broken':
      return new AppError('invalid_request', 'The connection broke before the body was complete')
  }
}
