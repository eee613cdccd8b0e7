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
import { LIMITS } from '#kernel/limits.ts'

/** Everything that the doors of the product need from what stands behind them. */
export interface AppDeps {
  readonly db: Db
  readonly accounts: Accounts
  /** The operator's key: the only one that makes users. */
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
  /** Whether work can be taken in: the database answers. */
  readonly ready: () => boolean | Promise<boolean>
  readonly metrics: Registry
  /** Browser origins, compared whole. */
  readonly allowedOrigins: readonly string[]
  /** Aborts when the server is to stop: new requests are refused, streams and sockets end. */
  readonly signal: AbortSignal
  readonly timings?: Partial<Timings>
  readonly requestsPerMinuteMax?: number
}

/** How long sockets and streams wait for things; a test may be in a hurry. */
export interface Timings {
  readonly heartbeatMs: number
  /** A socket that answers no ping for this long is gone. */
  readonly silenceMs: number
  /** A socket must have subscribed to something by then. */
  readonly handshakeMs: number
  /** A reader for whom too much waits, and who takes nothing for this long, is slow. */
  readonly stallMs: number
}

/** What `/health` answers. */
export const Health = Type.Object(
  {
    status: Type.String(),
    version: Type.String(),
    kilo: Type.Object({ version: Type.String() }),
    database: Type.String({ description: '`pglite` or `postgres`' }),
    coordination: Type.String({ description: '`in-process` or `redis`' }),
    isolation: Type.String({ description: 'what an agent is kept in: `bubblewrap` or `process`' })
  },
  { description: 'What runs here' }
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

/** What we promise, unless somebody is in a hurry. */
export const timingsOf = (given: Partial<Timings> = {}): Timings => ({
  heartbeatMs: LIMITS.socketHeartbeatMs,
  silenceMs: LIMITS.socketSilenceMs,
  handshakeMs: LIMITS.socketHandshakeMs,
  stallMs: LIMITS.socketStallMs,
  ...given
})
