import type { FastifyRequest } from 'fastify'
import { AppError } from '#kernel/errors.ts'
import { SUBPROTOCOL } from '#kernel/frames.ts'
import type { RouteDeps } from '../route-deps.ts'

export const SOCKET_PATH = '/ws'

const KEY = /^[+/0-9A-Za-z]{22}==$/
const PROTOCOL = /^[!#$%&'*+.^_`|~\w-]+$/

export type HandshakeDeps = Pick<RouteDeps, 'authentication' | 'allowedOrigins'>

/** Checks an upgrade request: its headers, its origin, and its ticket or key. */
export async function authenticateUpgrade(
  deps: HandshakeDeps,
  request: FastifyRequest
): Promise<void> {
  checkHeaders(request)
  checkOrigin(deps.allowedOrigins, request)
  if (request.headers.authorization !== undefined) return deps.authentication.requireUser(request)

  const { ticket } = request.query as { ticket?: unknown }
  if (typeof ticket !== 'string') {
    throw new AppError(
      'unauthenticated',
      'Credentials missing: send a ticket (?ticket=) or an Authorization header'
    )
  }
  await deps.authentication.redeemTicket(request, ticket)
}

function checkHeaders({ headers }: FastifyRequest): void {
  if (headers['sec-websocket-version'] !== '13') {
    throw new AppError('invalid_request', 'Sec-WebSocket-Version must be 13')
  }
  if (!KEY.test(headers['sec-websocket-key'] ?? '')) {
    throw new AppError('invalid_request', 'Sec-WebSocket-Key must be 16 bytes in base64')
  }
  const offered = (headers['sec-websocket-protocol'] ?? '').split(',').map((word) => word.trim())
  const proper =
    offered.every((word) => PROTOCOL.test(word)) && new Set(offered).size === offered.length
  if (!proper || !offered.includes(SUBPROTOCOL)) {
    throw new AppError('invalid_request', `Sec-WebSocket-Protocol must offer ${SUBPROTOCOL}`)
  }
}

/** Browsers always send `Origin`; other clients need not. Origins are compared whole, never by suffix. */
function checkOrigin(allowed: readonly string[], { headers: { origin } }: FastifyRequest): void {
  if (origin === undefined || allowed.includes(origin)) return
  throw new AppError('forbidden', 'This origin is not in ALLOWED_ORIGINS')
}
