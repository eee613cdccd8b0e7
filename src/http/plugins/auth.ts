import type { FastifyRequest } from 'fastify'
import { redeemTicket, sameKey } from '#accounts'
import { AppError } from '#kernel/errors.ts'
import type { KeyId, ProjectId, UserId } from '#kernel/ids.ts'
import { networkOf } from '#net'
import type { AppDeps } from '../app-deps.ts'
import { createKeyGuard } from './key-guard.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The authenticated user; null before a key or ticket was checked. */
    userId: UserId | null
    /** The project that a ticket is limited to; null with a key, which is valid for all projects of its user. */
    onlyProject: ProjectId | null
    /** The key of this request or of its ticket; null for the operator. */
    keyId: KeyId | null
  }
}

export type AuthDeps = Pick<AppDeps, 'db' | 'accounts' | 'adminKey' | 'clock'>

export interface Authentication {
  /** Authenticates a request by a user's API key. */
  requireUser(request: FastifyRequest): Promise<void>
  requireOperator(request: FastifyRequest): Promise<void>
  /** Authenticates a request by a user's key, or by the operator's, which leaves `userId` null. */
  requireUserOrOperator(request: FastifyRequest): Promise<void>
  /** Authenticates a request by a one-time ticket for one project. */
  redeemTicket(request: FastifyRequest, ticket: string): Promise<void>
}

/**
 * Authenticates requests. Wrong keys and tickets delay the next attempt from their address. A user's key has 256 random
 * bits and cannot be guessed, so it is admitted during the delay: other people may share the address. The operator's key
 * may be one that a person chose, so it is not even compared then. `countRefused` counts a request for the rate limit.
 */
export function createAuthentication(
  { db, accounts, adminKey, clock }: AuthDeps,
  countRefused: (request: FastifyRequest) => Promise<void>
): Authentication {
  const guard = createKeyGuard(clock)

  const refuseDuringDelay = (request: FastifyRequest) => {
    const waitMs = guard.waitMs(networkOf(request.ip))
    if (waitMs === 0) return
    throw new AppError(
      'rate_limited',
      'Too many wrong keys from this address: retry after Retry-After',
      { retryAfterSeconds: Math.ceil(waitMs / 1000) }
    )
  }
  const refuse = (request: FastifyRequest, detail: string) => {
    guard.fail(networkOf(request.ip))
    return new AppError('unauthenticated', detail)
  }
  const findUser = async (request: FastifyRequest, key: string): Promise<boolean> => {
    const holder = await accounts.holderOfKey(db, key)
    if (holder) Object.assign(request, holder)
    return holder !== undefined
  }
  /** Refused requests count for the rate limit of their address. */
  const counted = async (request: FastifyRequest, check: () => Promise<void>) => {
    try {
      await check()
    } catch (error) {
      if (error instanceof AppError && error.code === 'unauthenticated') await countRefused(request)
      throw error
    }
  }

  return {
    requireUser: (request) =>
      counted(request, async () => {
        const key = bearerOf(request)
        if (await findUser(request, key)) return
        refuseDuringDelay(request)
        if (sameKey(key, adminKey)) {
          throw new AppError('forbidden', "The operator's key is not valid here: use a user's key")
        }
        throw refuse(request, 'Unknown API key')
      }),

    requireOperator: (request) =>
      counted(request, async () => {
        const key = bearerOf(request)
        refuseDuringDelay(request)
        if (sameKey(key, adminKey)) return
        if (await accounts.holderOfKey(db, key)) {
          throw new AppError('forbidden', "This requires the operator's key")
        }
        throw refuse(request, 'Unknown API key')
      }),

    requireUserOrOperator: (request) =>
      counted(request, async () => {
        const key = bearerOf(request)
        if (await findUser(request, key)) return
        refuseDuringDelay(request)
        if (!sameKey(key, adminKey)) throw refuse(request, 'Unknown API key')
      }),

    redeemTicket: (request, ticket) =>
      counted(request, async () => {
        const holder = await redeemTicket(db, ticket, clock.now())
        if (!holder) {
          refuseDuringDelay(request)
          throw refuse(
            request,
            'Unknown, used or expired ticket: get a new one by POST /ws-tickets'
          )
        }
        request.userId = holder.userId
        request.keyId = holder.keyId
        request.onlyProject = holder.projectId
      })
  }
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
