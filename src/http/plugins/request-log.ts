import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { FastifyRequest } from 'fastify'
import { jobId, projectId } from '#kernel/ids.ts'
import type { App } from '../app-deps.ts'

const REQUEST_ID = /^[!-~]{1,128}$/

/** The `X-Request-Id` of the client if it is valid, else a new one. */
export function requestIdOf({ headers }: Pick<IncomingMessage, 'headers'>): string {
  const given = headers['x-request-id']
  return typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID()
}

/** Logs one line per request, without headers and query, which may contain secrets. */
export function logRequests(app: App): void {
  app.addHook('onRequest', async (request, reply) => {
    void reply.header('x-request-id', request.id)
  })

  app.addHook('onResponse', async (request, reply) => {
    const facts = {
      method: request.method,
      route: request.routeOptions.url,
      path: request.url.split('?', 1)[0],
      status: reply.statusCode,
      ms: Math.round(reply.elapsedTime),
      ...subjectOf(request)
    }
    request.log.info(facts, 'request answered')
  })
}

function subjectOf({ userId, params }: FastifyRequest) {
  const { id = '' } = (params ?? {}) as { id?: string }
  return {
    ...(userId && { userId }),
    ...(projectId.is(id) && { projectId: id }),
    ...(jobId.is(id) && { jobId: id })
  }
}
