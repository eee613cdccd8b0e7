import type { FastifyRequest } from 'fastify'
import { sameKey } from '#accounts'
import { AppError } from '#kernel/errors.ts'
import type { ProjectId, UserId } from '#kernel/ids.ts'
import type { AppDeps } from '../app-deps.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The authenticated user; null before a key or ticket was checked. */
    userId: UserId | null
    /** The project that a ticket is limited to; null with a key, which is valid for all projects of its user. */
    onlyProject: ProjectId | null
  }
}

type AuthDeps = Pick<AppDeps, 'db' | 'accounts' | 'adminKey'>

/** Authenticates a request by a user's API key. */
export async function requireUser(deps: AuthDeps, request: FastifyRequest): Promise<void> {
  const key = bearerOf(request)
  const userId = await deps.accounts.userOfKey(deps.db, key)
  if (userId) {
    request.userId = userId
    return
  }
  if (sameKey(key, deps.adminKey)) {
    throw new AppError(
      'forbidden',
      "The operator's key can only create users: use a user's key here"
    )
  }
  throw new AppError('unauthenticated', 'Unknown API key')
}

export async function requireOperator(deps: AuthDeps, request: FastifyRequest): Promise<void> {
  const key = bearerOf(request)
  if (sameKey(key, deps.adminKey)) return
  if (await deps.accounts.userOfKey(deps.db, key)) {
    throw new AppError('forbidden', "This requires the operator's key")
  }
  throw new AppError('unauthenticated', 'Unknown API key')
}

/** The user of a request that has passed `requireUser`. */
export function userOf(request: FastifyRequest): UserId {
  if (request.userId) return request.userId
  throw new AppError('unauthenticated', 'No user is authenticated for this request')
}

function bearerOf({ headers }: FastifyRequest): string {
  const [, key] = /^Bearer +(\S+) *$/i.exec(headers.authorization ?? '') ?? []
  if (key) return key
  throw new AppError(
    'unauthenticated',
    'API key missing: send the header Authorization: Bearer kw_…'
  )
}
