import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from 'fastify'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Registry } from 'prom-client'
import type { Accounts } from '#accounts'
import type { Ledger, PriceList } from '#billing'
import type { Db, IdempotencyStore } from '#db'
import type { EventLog, Feed } from '#events'
import type { Jobs } from '#jobs'
import type { Clock } from '#kernel/clock.ts'
import type { Workspaces } from '#workspaces'
import type { Health } from './routes/health.ts'

/** Everything that the doors of the product need from what stands behind them. */
export interface AppDeps {
  readonly db: Db
  readonly accounts: Accounts
  /** The operator's key: the only one that makes users. */
  readonly adminKey: string
  readonly jobs: Jobs
  readonly events: EventLog
  readonly feed: Feed
  readonly workspaces: Workspaces
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

/** An app whose routes take their types from their schemas. */
export type App = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>
