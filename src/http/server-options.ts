import { randomUUID } from 'node:crypto'
import { STATUS_CODES, type IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { LogController, type FastifyHttpOptions, type RawServerDefault } from 'fastify'
import { AppError } from '#kernel/errors.ts'
import { LIMITS } from '#kernel/limits.ts'
import type { AppDeps, Timings } from './app-deps.ts'
import { problemOf, sendProblem } from './plugins/problems.ts'
import { PROBLEM_STATUSES } from './problem-statuses.ts'
import { requestIdOf } from './plugins/request-log.ts'
import { SOCKET_PATH } from './stream/handshake.ts'

const CHECK_CONNECTIONS_EVERY_MS = 5000

/** Options of the HTTP server. Even unparsable requests are answered with a problem document. */
export const serverOptions = (
  { log, trustedProxies = [] }: Pick<AppDeps, 'log' | 'trustedProxies'>,
  { headersMs }: Timings
) =>
  ({
    loggerInstance: log,
    trustProxy: trustedProxies.length > 0 ? [...trustedProxies] : false,
    logController: new LogController({
      disableRequestLogging: true,
      requestIdLogLabel: 'requestId'
    }),
    genReqId: requestIdOf,
    bodyLimit: LIMITS.bodyBytesMax,
    http: {
      shouldUpgradeCallback: isForSocket,
      headersTimeout: headersMs,
      connectionsCheckingInterval: Math.min(headersMs, CHECK_CONNECTIONS_EVERY_MS)
    },
    // The schema limits the length of a parameter: a long one is answered with 400 instead of 404.
    routerOptions: { maxParamLength: 16 * 1024 },
    return503OnClosing: false,
    frameworkErrors: (error, request, reply) => {
      void reply.header('x-request-id', request.id)
      void sendProblem(error, request, reply)
    },
    clientErrorHandler: refuseUnparsable
  }) satisfies FastifyHttpOptions<RawServerDefault>

/** Other upgrade requests (to other protocols or paths) are ignored, and answered like plain requests. */
const isForSocket = ({ headers, url = '' }: IncomingMessage) =>
  headers.upgrade?.toLowerCase() === 'websocket' && url.split('?', 1)[0] === SOCKET_PATH

/** Answers requests that Node cannot parse: too long a header, a malformed line, a timeout. */
function refuseUnparsable(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const id = randomUUID()
  const refusal = refusalOf(error.code)
  const problem = JSON.stringify(problemOf(refusal, '/', id))
  const status = PROBLEM_STATUSES[refusal.code]
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'Content-Type: application/problem+json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(problem)}`,
    `X-Request-Id: ${id}`,
    'Connection: close'
  ]
  socket.end(`${lines.join('\r\n')}\r\n\r\n${problem}`)
}

function refusalOf(code: string | undefined): AppError {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return new AppError('request_timeout', 'The headers of the request did not arrive in time')
  }
  const detail =
    code === 'HPE_HEADER_OVERFLOW'
      ? 'The request line or a header is too long'
      : 'The request is not valid HTTP'
  return new AppError('invalid_request', detail)
}
