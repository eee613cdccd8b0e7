import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { AppError, REFUSALS, type RefusalCode } from '#kernel/errors.ts'
import { LIMITS } from '#kernel/limits.ts'
import type { App } from '../app-deps.ts'
import { PROBLEM_STATUSES } from '../problem-statuses.ts'

/** When to come back, where we know better than the one who asks. */
const RETRY_AFTER_SECONDS: Partial<Record<RefusalCode, number>> = {
  idempotency_in_flight: 1,
  queue_full: 5,
  agent_unavailable: 5,
  database_unavailable: 2,
  shutting_down: 5
}

/** Every refusal leaves as `application/problem+json` with a code of ours; what broke inside stays inside. */
export function answerProblems(app: App): void {
  app.setErrorHandler((error: FastifyError, request, reply) => sendProblem(error, request, reply))
  app.setNotFoundHandler(() => {
    throw new AppError('not_found', 'There is nothing at this address')
  })
}

export function sendProblem(error: Error, request: FastifyRequest, reply: FastifyReply) {
  const refusal = toRefusal(error, request.routeOptions?.bodyLimit ?? LIMITS.bodyBytesMax)
  const problem = problemOf(refusal, request.url, request.id)
  if (problem.status >= 500) request.log.error({ err: error }, 'request failed')

  const said = refusal.facts['retryAfterSeconds']
  const seconds = typeof said === 'number' ? said : RETRY_AFTER_SECONDS[refusal.code]
  if (seconds !== undefined) void reply.header('retry-after', String(seconds))
  if (refusal.code === 'unauthenticated') {
    void reply.header('www-authenticate', 'Bearer realm="kilowatt"')
  }
  return reply
    .code(problem.status)
    .type('application/problem+json; charset=utf-8')
    .send(JSON.stringify(problem))
}

export function problemOf(refusal: AppError, url: string, requestId: string) {
  const { title, retryable } = REFUSALS[refusal.code]
  const status = PROBLEM_STATUSES[refusal.code]
  const standard = {
    type: `urn:kilowatt:problem:${refusal.code}`,
    title,
    status,
    detail: refusal.message,
    // Without the query: a ticket may be in it.
    instance: url.split('?', 1)[0] ?? '/',
    code: refusal.code,
    retryable,
    requestId
  }
  // Facts come after them, and never instead of them.
  return { ...standard, ...refusal.facts, ...standard }
}

function toRefusal(error: Error & Partial<FastifyError>, limitBytes: number): AppError {
  if (error instanceof AppError) return error
  if (error.code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    const detail = `The body is larger than the ${limitBytes} bytes that we take here`
    return new AppError('payload_too_large', detail, { limitBytes })
  }
  if (error.code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') {
    return new AppError('invalid_request', 'The body must be JSON: Content-Type: application/json')
  }
  // What Fastify itself refuses: a header or an address that does not parse.
  if (error.code?.startsWith('FST_') && (error.statusCode ?? 500) < 500) {
    return new AppError('invalid_request', error.message)
  }
  if (isDatabaseAway(error)) {
    return new AppError(
      'database_unavailable',
      'The database does not answer',
      {},
      { cause: error }
    )
  }
  return new AppError('internal', 'Something broke on our side', {}, { cause: error })
}

/** What the network, PostgreSQL and its driver say when there is nobody to talk to. */
const CODES =
  /^(08\w{3}|57P0[1-3]|53300|ECONNREFUSED|ECONNRESET|ETIMEDOUT|EPIPE|ENOTFOUND|EAI_AGAIN)$/
const SENTENCES =
  /connection terminated|timeout exceeded when trying to connect|pglite is closed|driver has already been destroyed|client has encountered a connection error/i

/** Whether an error means that the database is away, rather than that a query is wrong. */
export function isDatabaseAway(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const { code } = error as { code?: unknown }
  return (typeof code === 'string' && CODES.test(code)) || SENTENCES.test(error.message)
}
