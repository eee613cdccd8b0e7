import type { FastifyReply, FastifyRequest } from 'fastify'

/**
 * Whether the client prefers this media type to JSON, by the q-values of its `Accept` header. JSON is the answer to
 * `*` and to a header that names neither.
 */
export const accepts = (request: FastifyRequest, type: string): boolean =>
  request.type('application/json', type) === type

/** Adds `Accept` to the `Vary` header, so that caches keep one answer per media type. */
export function varyByAccept(reply: FastifyReply): void {
  const known = reply.getHeader('vary')
  void reply.header('vary', known ? `${String(known)}, Accept` : 'Accept')
}
