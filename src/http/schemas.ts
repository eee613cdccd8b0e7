import { Type, type TSchema } from 'typebox'
import { REFUSALS, type RefusalCode } from '#kernel/errors.ts'
import { LIMITS } from '#kernel/limits.ts'
import { Nullable, OnlyThese } from '#kernel/schema-kit.ts'

export const Credits = Type.Number({ description: 'credits, at most six decimals' })

/** A problem document (RFC 9457). `code` is stable; some refusals have further members. */
export const Problem = Type.Object(
  {
    type: Type.String(),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.String(),
    instance: Type.String(),
    code: Type.Enum(Object.keys(REFUSALS) as RefusalCode[]),
    retryable: Type.Boolean({ description: 'whether the unchanged request may succeed later' }),
    requestId: Type.String()
  },
  { description: 'Why the request was refused (RFC 9457)' }
)

const refusal = (description: string) => ({
  description,
  content: { 'application/problem+json': { schema: Problem } }
})

/** The error responses of every route. */
export const refusals = {
  '4xx': refusal('The request was refused'),
  '5xx': refusal('The server failed or is shutting down')
} as const

export const empty = (description: string) => Type.Null({ description })

/** The body of a command without parameters: absent, or an empty object. */
export const EmptyBody = Type.Union([Type.Null(), Type.Object({}, OnlyThese)])

export const IdParams = Type.Object({ id: Type.String({ maxLength: 64 }) })

export const PageQuery = Type.Object({
  cursor: Type.Optional(
    Type.String({ minLength: 1, maxLength: 200, description: '`nextCursor` of the previous page' })
  ),
  limit: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: LIMITS.pageItemsMax,
      description: `default ${LIMITS.pageItemsDefault}`
    })
  )
})

/** The page that a query asks for. */
export const readPage = (query: { cursor?: string; limit?: number }) => ({
  cursor: query.cursor,
  limit: query.limit ?? LIMITS.pageItemsDefault
})

export const Listed = <T extends TSchema>(item: T, description: string) =>
  Type.Object({ items: Type.Array(item), nextCursor: Nullable(Type.String()) }, { description })

const IdempotencyKey = Type.String({
  pattern: '^[!-~]{1,255}$',
  description:
    'A repeated request with the same key and body gets the first answer and has no further effect'
})

/** The headers of a route that creates or spends. */
export const Idempotent = Type.Object({ 'idempotency-key': Type.Optional(IdempotencyKey) })
export const IdempotentAlways = Type.Object({ 'idempotency-key': IdempotencyKey })
