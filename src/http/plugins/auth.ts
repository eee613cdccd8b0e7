import type { FastifyRequest } from 'fastify'
import { sameKey } from '#accounts'
import { AppError } from '#kernel/errors.ts'
import type { ProjectId, UserId } from '#kernel/ids.ts'
import type { AppDeps } from '../app-deps.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks, once a key or a ticket has said so. */
    userId: UserId | null
    /** The one project that a ticket opens; null with a key, which opens all of its user's. */
    onlyProject: ProjectId | null
  }
}

type AuthDeps = Pick<AppDeps, 'db' | 'accounts' | 'adminKey'>

/** The user whose key came with the request. */
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
      "The operator's key makes users; ask for this with a user's key"
    )
  }
  throw new AppError('unauthenticated', 'This is not a key that we know')
}

export async function requireOperator(deps: AuthDeps, request: FastifyRequest): Promise<void> {
  const key = bearerOf(request)
  if (sameKey(key, deps.adminKey)) return
  if (await deps.accounts.userOfKey(deps.db, key)) {
    throw new AppError('forbidden', 'Only the operator may do this')
  }
  throw new AppError('unauthenticated', 'This is not a key that we know')
}

/** The user of a request that has passed `requireUser`. */
export function userOf(request: FastifyRequest): UserId {
  if (request.userId) return request.userId
  throw new AppError('unauthenticated', 'Nobody has said who asks')
}

function bearerOf({ headers }: FastifyRequest): string {
  const [, key] = /^Bearer +(\S+) *$/i.exec(headers.authorization ?? '') ?? []
  if (key) return key
  throw new AppError('unauthenticated', 'Send your key: Authorization: Bearer kw_…')
}
