import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import type { ApiKey } from '#accounts'
import { AppError } from '#kernel/errors.ts'
import { keyId, userId, type UserId } from '#kernel/ids.ts'
import { LIMITS } from '#kernel/limits.ts'
import { checkCursor, pageOf } from '#kernel/pages.ts'
import { Nullable, OnlyThese, Time } from '#kernel/schema-kit.ts'
import type { App } from '../app-deps.ts'
import type { RouteDeps } from '../route-deps.ts'
import { empty, Idempotent, IdParams, Listed, PageQuery, readPage, refusals } from '../schemas.ts'

const NewKey = Type.Object(
  {
    name: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
    expiresAt: Type.Optional(Type.String({ maxLength: 40, description: 'ISO 8601 in UTC' })),
    replaces: Type.Optional(
      Type.String({ maxLength: 64, description: 'id of a key that is revoked, or expires' })
    ),
    overlapSeconds: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: LIMITS.keyOverlapSecondsMax,
        description: 'how long the replaced key stays valid; default 0'
      })
    )
  },
  OnlyThese
)
const FIELDS = {
  id: Type.String(),
  name: Nullable(Type.String()),
  createdAt: Time,
  expiresAt: Nullable(Time),
  lastUsedAt: Nullable(Time),
  revokedAt: Nullable(Time)
}
const KeyView = Type.Object(FIELDS)
const KeyWithSecret = Type.Object(
  { ...FIELDS, apiKey: Type.String({ description: 'returned only here, never again' }) },
  { description: 'The new key' }
)
const KeyParams = Type.Object({
  id: IdParams.properties.id,
  keyId: Type.String({ maxLength: 64 })
})

/** The API keys of a user, for the user and for the operator. */
export function keyRoutes(app: App, deps: RouteDeps): void {
  const { db, accounts, connections } = deps

  app.get(
    '/users/:id/keys',
    {
      schema: {
        tags: ['users'],
        summary: 'List the API keys of a user, newest first (the user, or the operator)',
        params: IdParams,
        querystring: PageQuery,
        response: { 200: Listed(KeyView, 'A page of keys'), ...refusals }
      }
    },
    async (request) => {
      const user = await accountOf(deps, request, request.params.id)
      const { cursor, limit } = readPage(request.query)
      const before = checkCursor(cursor, keyId.is)
      const found = await accounts.keys(db, user, { before, limit: limit + 1 })
      const page = pageOf(found, limit, ({ id }) => id)
      return { ...page, items: page.items.map(toView) }
    }
  )

  app.post(
    '/users/:id/keys',
    {
      config: { idempotent: 'sealed' },
      schema: {
        tags: ['users'],
        summary: 'Create an API key, or replace one (the user, or the operator)',
        params: IdParams,
        headers: Idempotent,
        body: Type.Union([Type.Null(), NewKey]),
        response: { 201: KeyWithSecret, ...refusals }
      }
    },
    async (request, reply) => {
      const user = await accountOf(deps, request, request.params.id)
      const { expiresAt, ...wanted } = request.body ?? {}
      const created = await accounts.createKey(db, user, {
        ...wanted,
        expiresAt: expiresAt === undefined ? undefined : readTime(expiresAt)
      })
      await connections.endWithKeys()
      return reply.code(201).send({ ...toView(created), apiKey: created.apiKey })
    }
  )

  app.delete(
    '/users/:id/keys/:keyId',
    {
      schema: {
        tags: ['users'],
        summary: 'Revoke an API key (the user, or the operator)',
        params: KeyParams,
        response: { 204: empty('The key is revoked, and its connections are closed'), ...refusals }
      }
    },
    async (request, reply) => {
      const user = await accountOf(deps, request, request.params.id)
      await accounts.revoke(db, user, request.params.keyId)
      await connections.endWithKeys()
      return reply.code(204).send(null)
    }
  )
}

/** The user that the address names. Another user's id is answered like an unknown one. */
async function accountOf(
  { db, accounts }: Pick<RouteDeps, 'db' | 'accounts'>,
  request: FastifyRequest,
  given: string
): Promise<UserId> {
  const id = userId.parse(given)
  const isAllowed = id && (request.userId ? request.userId === id : await accounts.exists(db, id))
  if (!isAllowed) throw new AppError('not_found', `Unknown user ${given}`)
  return id
}

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)$/

function readTime(text: string): Date {
  const time = new Date(TIME.test(text) ? text : NaN)
  if (!Number.isNaN(time.getTime())) return time
  throw new AppError('invalid_request', 'expiresAt must be a time like 2030-01-31T12:00:00Z')
}

const toView = ({ id, name, createdAt, expiresAt, lastUsedAt, revokedAt }: ApiKey) => ({
  id,
  name,
  createdAt: createdAt.toISOString(),
  expiresAt: expiresAt?.toISOString() ?? null,
  lastUsedAt: lastUsedAt?.toISOString() ?? null,
  revokedAt: revokedAt?.toISOString() ?? null
})
