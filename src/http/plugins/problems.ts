import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { AppError, REFUSALS, type RefusalCode } from '#kernel/errors.ts'
import { isDiskFull } from '#kernel/machine/disk-space.ts'
import type { App } from '../app-deps.ts'
import { diskFull } from './disk-full.ts'
import { PROBLEM_STATUSES } from '../problem-statuses.ts'

/** `Retry-After` of refusals that do not bring their own. */
const RETRY_AFTER_SECONDS: Partial<Record<RefusalCode, number>> = {
  idempotency_in_flight: 1,
  queue_full: 5,
  agent_unavailable: 5,
  disk_full: 10,
  database_unavailable: 2,
  shutting_down: 5
}

/** Sends every error as `application/problem+json`; details of internal errors only go to the log. */
export function answerProblems(app: App): void {
  app.setErrorHandler((error: FastifyError, request, reply) => sendProblem(error, request, reply))
}

/** Answers addresses without a route, which count for the rate limit too. */
export function answerUnknownAddresses(
  app: App,
  countRefused: (request: FastifyRequest) => Promise<void>
): void {
  const preHandler = countRefused
  app.setNotFoundHandler({ preHandler }, () => {
    throw new AppError('not_found', 'No route matches this address')
  })
}

export function sendProblem(error: Error, request: FastifyRequest, reply: FastifyReply) {
  const refusal = toRefusal(error)
  const problem = problemOf(refusal, request.url, request.id, statusOf(refusal, request))
  // Fastify closes the connection when a body is refused. The client could then lose the answer, because it is still
  // sending: `discardUnreadBody` closes it a little later.
  if (refusal.code !== 'shutting_down' && !request.ws) void reply.removeHeader('connection')
  if (problem.status >= 500) request.log.error({ err: error }, 'request failed')

  const given = refusal.facts['retryAfterSeconds']
  const seconds = typeof given === 'number' ? given : RETRY_AFTER_SECONDS[refusal.code]
  if (seconds !== undefined) void reply.header('retry-after', String(seconds))
  if (refusal.code === 'unauthenticated') {
    void reply.header('www-authenticate', 'Bearer realm="kilowatt"')
  }
  return reply
    .code(problem.status)
    .header('cache-control', 'no-store')
    .type('application/problem+json; charset=utf-8')
    .send(JSON.stringify(problem))
}

/** A save that has no room is refused with the status for that; other commands do not know what room they need. */
function statusOf({ code }: AppError, { routeOptions }: FastifyRequest): number {
  const isSave = routeOptions.config?.onFullDisk === 'store'
  return code === 'disk_full' && isSave ? INSUFFICIENT_STORAGE : PROBLEM_STATUSES[code]
}

const INSUFFICIENT_STORAGE = 507

export function problemOf(
  refusal: AppError,
  url: string,
  requestId: string,
  status: number = PROBLEM_STATUSES[refusal.code]
) {
  const { title, retryable } = REFUSALS[refusal.code]
  const standard = {
    type: `urn:kilowatt:problem:${refusal.code}`,
    title,
    status,
    detail: refusal.message,
    // Without the query, which may contain a ticket.
    instance: url.split('?', 1)[0] ?? '/',
    code: refusal.code,
    retryable,
    requestId
  }
  // Facts follow the standard members, and never replace them.
  return { ...standard, ...refusal.facts, ...standard }
}

function toRefusal(error: Error & Partial<FastifyError>): AppError {
  if (error instanceof AppError) return error
  if (error.code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') {
    return new AppError('invalid_request', 'The body must be JSON: Content-Type: application/json')
  }
  // Errors of Fastify itself: a header or a path that does not parse.
  if (error.code?.startsWith('FST_') && (error.statusCode ?? 500) < 500) {
    return new AppError('invalid_request', error.message)
  }
  if (isDiskFull(error)) return diskFull(error)
  if (isDatabaseAway(error)) {
    return new AppError(
      'database_unavailable',
      'The database cannot be reached: retry later',
      {},
      { cause: error }
    )
  }
  return new AppError(
    'internal',
    'Internal server error: the log has the cause under this requestId',
    {},
    { cause: error }
  )
}

/** Error codes of the network and of PostgreSQL that mean an unreachable server. */
const CODES =
  /^(08\w{3}|57P0[1-3]|53300|ECONNREFUSED|ECONNRESET|ETIMEDOUT|EPIPE|ENOTFOUND|EAI_AGAIN)$/
/** Messages of the drivers, which have no code. */
const MESSAGES =
  /connection terminated|timeout exceeded when trying to connect|pglite is closed|driver has already been destroyed|client has encountered a connection error/i

/** Whether an error means that the database cannot be reached, rather than that a query failed. */
export function isDatabaseAway(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const { code } = error as { code?: unknown }
  return (typeof code === 'string' && CODES.test(code)) || MESSAGES.test(error.message)
}
