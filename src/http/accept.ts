import type { FastifyReply, FastifyRequest } from 'fastify'

/** Whether the one who asks names this media type. `*` names JSON, which is what everybody gets. */
export const accepts = ({ headers }: FastifyRequest, type: string): boolean =>
  (headers.accept ?? '').split(',').some((range) => range.split(';', 1)[0]?.trim() === type)

/** Tells caches that the answer depends on `Accept`, besides what it depended on already. */
export function varyByAccept(reply: FastifyReply): void {
  const known = reply.getHeader('vary')
  void reply.header('vary', known ? `${String(known)}, Accept` : 'Accept')
}
