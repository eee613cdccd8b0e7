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

/** Everything that must be right before a socket opens: its headers, where it comes from, and who it is. */
export async function shakeHands(deps: HandshakeDeps, request: FastifyRequest): Promise<void> {
  checkHeaders(request)
  checkOrigin(deps.allowedOrigins, request)
  if (request.headers.authorization !== undefined) return requireUser(deps, request)

  const { ticket } = request.query as { ticket?: unknown }
  if (typeof ticket !== 'string') {
    throw new AppError('unauthenticated', 'Bring a ticket (?ticket=) or an Authorization header')
  }
  const holder = await redeemTicket(deps.db, ticket, deps.clock.now())
  if (!holder) {
    throw new AppError('unauthenticated', 'This ticket was used, ran out or never was one')
  }
  request.userId = holder.userId
  request.onlyProject = holder.projectId
}

function checkHeaders({ headers }: FastifyRequest): void {
  if (headers['sec-websocket-version'] !== '13') {
    throw new AppError('invalid_request', 'Sec-WebSocket-Version must be 13')
  }
  if (!KEY.test(headers['sec-websocket-key'] ?? '')) {
    throw new AppError('invalid_request', 'Sec-WebSocket-Key is not 16 bytes in base64')
  }
  const offered = (headers['sec-websocket-protocol'] ?? '').split(',').map((word) => word.trim())
  const proper =
    offered.every((word) => PROTOCOL.test(word)) && new Set(offered).size === offered.length
  if (!proper || !offered.includes(SUBPROTOCOL)) {
    throw new AppError('invalid_request', `Sec-WebSocket-Protocol must offer ${SUBPROTOCOL}`)
  }
}

/** A browser always says where its page comes from; a program need not. Compared whole, so no look-alike passes. */
function checkOrigin(allowed: readonly string[], { headers: { origin } }: FastifyRequest): void {
  if (origin === undefined || allowed.includes(origin)) return
  throw new AppError('forbidden', 'Sockets from this origin are not allowed')
}
