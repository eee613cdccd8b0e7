import type { FastifyRequest } from 'fastify'

/** Whether the one who asks names this media type. `*` names JSON, which is what everybody gets. */
export const accepts = ({ headers }: FastifyRequest, type: string): boolean =>
  (headers.accept ?? '').split(',').some((range) => range.split(';', 1)[0]?.trim() === type)
