import type { IncomingMessage } from 'node:http'

/**
 * Call it after the answer was sent. Discards what the client still sends of its body, so that it can read the answer
 * instead of getting a reset connection, and closes the connection when the body takes longer than `ms`.
 */
export function discardUnreadBody(request: IncomingMessage, ms: number): void {
  if (request.complete || request.readableEnded || request.destroyed) return
  const timer = setTimeout(() => request.socket.destroy(), ms)
  request.once('close', () => clearTimeout(timer)).once('end', () => clearTimeout(timer))
  request.resume()
}
