import type { FastifyRequest } from 'fastify'
import { AppError } from '#kernel/errors.ts'
import type { KeyId } from '#kernel/ids.ts'
import { LIMITS } from '#kernel/limits.ts'
import { createCounts, networkOf } from '#net'
import type { App, AppDeps, Timings } from '../app-deps.ts'
import { userOf } from '../plugins/auth.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The socket's place among the open connections; null before it was admitted. */
    connection: Connection | null
  }
}

export interface Connection extends Disposable {
  /** Aborts when the connection's key was revoked or has expired. */
  readonly keyEnded: AbortSignal
}

/** The open sockets and event streams of this process. */
export interface Connections {
  /** Counts a connection until it is disposed of. Refuses it when its user or its address has too many. */
  admit(request: FastifyRequest): Connection
  /** Ends the connections whose keys are no longer active. */
  endWithKeys(): Promise<void>
}

interface Open {
  readonly keyId: KeyId
  readonly ending: AbortController
}

type ConnectionDeps = Pick<
  AppDeps,
  'db' | 'accounts' | 'socketsPerUserMax' | 'socketsPerAddressMax'
>

/** Limits sockets and event streams per user and per address, and ends them with their keys. */
export function createConnections({
  db,
  accounts,
  socketsPerUserMax = LIMITS.socketsPerUserMax,
  socketsPerAddressMax = LIMITS.socketsPerAddressMax
}: ConnectionDeps): Connections {
  const connections = new Set<Open>()
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
      const ending = new AbortController()
      const open = request.keyId && { keyId: request.keyId, ending }
      if (open) connections.add(open)
      let isOpen = true
      return {
        keyEnded: ending.signal,
        [Symbol.dispose]() {
          if (!isOpen) return
          isOpen = false
          if (open) connections.delete(open)
          users.add(userId, -1)
          addresses.add(address, -1)
        }
      }
    },

    async endWithKeys() {
      // Only those that were open before the query: a later one was authenticated later.
      const checked = [...connections]
      const ids = [...new Set(checked.map(({ keyId }) => keyId))]
      const active = new Set(await accounts.activeKeys(db, ids))
      for (const { keyId, ending } of checked) if (!active.has(keyId)) ending.abort()
    }
  }
}

/** Keys expire, and other processes revoke keys: checked at every heartbeat. */
export function endWithExpiredKeys(
  app: App,
  connections: Connections,
  { heartbeatMs }: Timings
): void {
  const checking = setInterval(() => {
    connections
      .endWithKeys()
      .catch((err: unknown) => app.log.warn({ err }, 'failed to check the keys of connections'))
  }, heartbeatMs).unref()
  app.addHook('onClose', async () => clearInterval(checking))
}

const tooMany = (owner: string, max: number) =>
  new AppError(
    'rate_limited',
    `Too many open sockets and event streams: ${owner} the limit of ${max}; close one first`,
    { retryAfterSeconds: 5 }
  )
