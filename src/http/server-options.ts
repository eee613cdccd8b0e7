import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import {
  LogController,
  type FastifyBaseLogger,
  type FastifyHttpOptions,
  type RawServerDefault
} from 'fastify'
import { AppError } from '#kernel/errors.ts'
import { LIMITS } from '#kernel/limits.ts'
import { problemOf, sendProblem } from './plugins/problems.ts'
import { requestIdOf } from './plugins/request-log.ts'
import { SOCKET_PATH } from './stream/handshake.ts'

/** How the server listens: no surprises in what it reads, and a problem document even for what is no request. */
export const serverOptions = (loggerInstance: FastifyBaseLogger) =>
  ({
    loggerInstance,
    logController: new LogController({
      disableRequestLogging: true,
      requestIdLogLabel: 'requestId'
    }),
    genReqId: requestIdOf,
    bodyLimit: LIMITS.bodyBytesMax,
    http: { shouldUpgradeCallback: isForSocket },
    // A param's length is its schema's affair: a long one is refused, not unknown.
    routerOptions: { maxParamLength: 16 * 1024 },
    return503OnClosing: false,
    frameworkErrors: (error, request, reply) => {
      void reply.header('x-request-id', request.id)
      void sendProblem(error, request, reply)
    },
    clientErrorHandler: refuseNonsense
  }) satisfies FastifyHttpOptions<RawServerDefault>

/** An offer to speak something else, or elsewhere, is passed over: the request is answered as it stands. */
const isForSocket = ({ headers, url = '' }: IncomingMessage) =>
  headers.upgrade?.toLowerCase() === 'websocket' && url.split('?', 1)[0] === SOCKET_PATH

/** What Node could not read as HTTP: too long a header, a broken line, a request that never ends. */
function refuseNonsense(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const id = randomUUID()
  const detail =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? 'The address or a header is too long'
      : 'This is not a request that we can read'
  const problem = JSON.stringify(problemOf(new AppError('invalid_request', detail), '/', id))
  const lines = [
    'HTTP/1.1 400 Bad Request',
    'Content-Type: application/problem+json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(problem)}`,
    `X-Request-Id: ${id}`,
    'Connection: close'
  ]
  socket.end(`${lines.join('\r\n')}\r\n\r\n${problem}`)
}
