import type { FastifyRequest } from 'fastify'
import { AppError } from '#kernel/errors.ts'
import { LIMITS } from '#kernel/limits.ts'
import { networkOf } from '#net'
import type { AppDeps } from '../app-deps.ts'
import { userOf } from '../plugins/auth.ts'

/** The open sockets and event streams of this process. */
export interface Connections {
  /** Counts a connection until it is disposed of. Refuses it when its user or its address has too many. */
  admit(request: FastifyRequest): Disposable
}

/** Limits sockets and event streams per user and per address. */
export function createConnections({
  socketsPerUserMax = LIMITS.socketsPerUserMax,
  socketsPerAddressMax = LIMITS.socketsPerAddressMax
}: Pick<AppDeps, 'socketsPerUserMax' | 'socketsPerAddressMax'>): Connections {
  const users = createCounts()
  const addresses = createCounts()

  return {
    admit(request) {
      const userId = userOf(request)
      const address = networkOf(request.ip)
      if (users.of(userId) >= socketsPerUserMax) throw tooMany('you have', socketsPerUserMax)
      if (addresses.of(address) >= socketsPerAddressMax) {
        throw tooMany('your address has', socketsPerAddressMax)
      }
      users.add(userId, 1)
      addresses.add(address, 1)
      let open = true
      return {
        [Symbol.dispose]() {
          if (!open) return
          open = false
          users.add(userId, -1)
          addresses.add(address, -1)
        }
      }
    }
  }
}

function createCounts() {
  const counts = new Map<string, number>()
  return {
    of: (name: string) => counts.get(name) ?? 0,
    add(name: string, more: number) {
      const count = (counts.get(name) ?? 0) + more
      if (count > 0) counts.set(name, count)
      else counts.delete(name)
    }
  }
}

const tooMany = (owner: string, max: number) =>
  new AppError(
    'rate_limited',
    `Too many open sockets and event streams: ${owner} the limit of ${max}; close one first`,
    { retryAfterSeconds: 5 }
  )
