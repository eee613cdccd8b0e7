import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from 'fastify'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Registry } from 'prom-client'
import { Type, type Static } from 'typebox'
import type { Accounts } from '#accounts'
import type { Ledger, PriceList } from '#billing'
import type { Db, IdempotencyStore } from '#db'
import type { Editing } from '#editing'
import type { EventLog, Feed } from '#events'
import type { Jobs } from '#jobs'
import type { Clock } from '#kernel/clock.ts'
import type { AppError } from '#kernel/errors.ts'
import { LIMITS } from '#kernel/limits.ts'
import type { DiskSpace } from '#kernel/machine/disk-space.ts'

/** What the HTTP server needs from the rest of the product. */
export interface AppDeps {
  readonly db: Db
  readonly accounts: Accounts
  /** The operator's key: the only one that can create users. */
  readonly adminKey: string
  readonly jobs: Jobs
  readonly events: EventLog
  readonly feed: Feed
  readonly editing: Editing
  readonly ledger: Ledger
  readonly prices: PriceList
  readonly idempotency: IdempotencyStore
  readonly log: FastifyBaseLogger
  readonly clock: Clock
  readonly version: string
  readonly health: () => Health | Promise<Health>
  /** Why the server cannot accept work now; undefined when it can. */
  readonly ready: () => Promise<AppError | undefined>
  readonly disk: Pick<DiskSpace, 'isFull'>
  readonly metrics: Registry
  /** Browser origins, compared whole. */
  readonly allowedOrigins: readonly string[]
  /** Aborts when the server shuts down: new requests are refused, streams and sockets end. */
  readonly signal: AbortSignal
  readonly timings?: Partial<Timings>
  readonly requestsPerMinuteMax?: number
  /** The address that clients use. Requests for other hosts are refused; undefined: any host. */
  readonly publicUrl?: string | undefined
  /** Sockets and event streams that a user may have open concurrently. */
  readonly socketsPerUserMax?: number
  /** Sockets and event streams that an address may have open concurrently. */
  readonly socketsPerAddressMax?: number
  /** Addresses and networks of reverse proxies whose `X-Forwarded-For` is believed. */
  readonly trustedProxies?: readonly string[]
}

/** Timeouts of requests, sockets and streams; tests use shorter ones. */
export interface Timings {
  readonly heartbeatMs: number
  /** A socket that answers no ping for this long is terminated. */
  readonly silenceMs: number
  /** A socket without a subscription after this time is closed. */
  readonly handshakeMs: number
  /** A client with a full buffer that reads nothing for this long is closed. */
  readonly stallMs: number
  /** A client that has not sent all headers after this time is refused. */
  readonly headersMs: number
  /** For this long a body may arrive slower than the minimum rate. */
  readonly bodyGraceMs: number
  /** After an answer the rest of the request's body is discarded for this long, then the connection is closed. */
  readonly unreadBodyMs: number
}

/** The response of `/health`. */
export const Health = Type.Object(
  {
    status: Type.String(),
    version: Type.String(),
    kilo: Type.Object({ version: Type.String() }),
    database: Type.String({ description: '`pglite` or `postgres`' }),
    coordination: Type.String({ description: '`in-process` or `redis`' }),
    isolation: Type.String({ description: 'sandbox of the agents: `bubblewrap` or `process`' }),
    network: Type.String({
      description: '`closed`: agents have no network; `shared`: they have that of the machine'
    }),
    uid: Type.String({
      description: '`shared`: agents run as one user of the machine; `own`: each as its own'
    })
  },
  { description: 'Version and state of the server' }
)
export type Health = Static<typeof Health>

/** An app whose routes take their types from their schemas. */
export type App = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>

/** The timeouts of production, unless given. */
export const timingsOf = (given: Partial<Timings> = {}): Timings => ({
  heartbeatMs: LIMITS.socketHeartbeatMs,
  silenceMs: LIMITS.socketSilenceMs,
  handshakeMs: LIMITS.socketHandshakeMs,
  stallMs: LIMITS.socketStallMs,
  headersMs: LIMITS.headersMs,
  bodyGraceMs: LIMITS.bodyGraceMs,
  unreadBodyMs: LIMITS.unreadBodyMs,
  ...given
})
