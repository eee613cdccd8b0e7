import type { FastifyRequest } from 'fastify'
import { redeemTicket } from '#accounts'
import { AppError } from '#kernel/errors.ts'
import { SUBPROTOCOL } from '#kernel/frames.ts'
import type { AppDeps } from '../app-deps.ts'
import { requireUser } from '../plugins/auth.ts'

export const SOCKET_PATH = '/ws'

const KEY = /^[+/0-9A-Za-z]{22}==$/
const PROTOCOL = /^[!#$%&'*+.^_`|~\w-]+$/

export type HandshakeDeps = Pick<
  AppDeps,
  'db' | 'accounts' | 'adminKey' | 'allowedOrigins' | 'clock'
>

/** Checks an upgrade request: its headers, its origin, and its ticket or key. */
export async function authenticateUpgrade(
  deps: HandshakeDeps,
  request: FastifyRequest
): Promise<void> {
  checkHeaders(request)
  checkOrigin(deps.allowedOrigins, request)
  if (request.headers.authorization !== undefined) return requireUser(deps, request)

  const { ticket } = request.query as { ticket?: unknown }
  if (typeof ticket !== 'string') {
    throw new AppError(
      'unauthenticated',
      'Credentials missing: send a ticket (?ticket=) or an Authorization header'
    )
  }
  const holder = await redeemTicket(deps.db, ticket, deps.clock.now())
  if (!holder) {
    throw new AppError(
      'unauthenticated',
      'Unknown, used or expired ticket: get a new one by POST /ws-tickets'
    )
  }
  request.userId = holder.userId
  request.onlyProject = holder.projectId
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
