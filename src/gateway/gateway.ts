import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { Agent } from 'undici'
import type { PriceList } from '#billing'
import type { Clock } from '#kernel/clock.ts'
import type { ProjectId } from '#kernel/ids.ts'
import { LIMITS } from '#kernel/limits.ts'
import type { Log } from '#kernel/log.ts'
import { createBodyBudget, createJsonParser, discardUnreadBody } from '#net'
import { createAccounts, type Account, type BoundAccount } from './paying-jobs.ts'
import { createInputCount } from './input-count.ts'
import type { GatewayMetric } from './metrics.ts'
import { GatewayRefusal, meaningOf } from './refusal.ts'
import { serveRequest, type Exchange } from './serve-request.ts'
import { createTokens } from './tokens.ts'
import { createUpstream, pathOf, type Provider, type Upstream } from './upstream.ts'

const CHECK_CONNECTIONS_EVERY_MS = 5000

export interface GatewayOptions {
  readonly providers: readonly Provider[]
  readonly prices: Pick<PriceList, 'find'>
  readonly clock: Clock
  readonly log: Log
  readonly onMetric?: (metric: GatewayMetric) => void
  /** Timeouts, shorter in tests. */
  readonly times?: Times
}

/** See `Forwarding`, `createAccounts` and `readRequest`. */
interface Times {
  readonly drainMs?: number
  readonly usageWaitMs?: number
  readonly shareWaitMs?: number
  readonly silenceMs?: number
  readonly headersMs?: number
  readonly bodyGraceMs?: number
  readonly unreadBodyMs?: number
}

export interface Gateway extends AsyncDisposable {
  /** The base URL that an agent uses for this provider. */
  addressOf(providerId: Provider['id']): string
  /** Serves a connection of an agent that has no network of its own to reach the address. */
  accept(connection: Duplex): void
  /** Issues the capability token of a project's agent, and revokes the previous one. */
  tokenFor(projectId: ProjectId): string
  revoke(token: string): void
  /** The account pays for the model requests that carry its token, until it is disposed. */
  bind(projectId: ProjectId, account: Account): BoundAccount
}

/**
 * The proxy between agents and model providers. Only the gateway has the providers' keys. It forwards a request only
 * when the job's credits cover its maximum cost, and records each request with the provider's own token count.
 */
export async function openGateway(options: GatewayOptions): Promise<Gateway> {
  const { prices, clock, log, onMetric = () => {}, times = {} } = options
  const upstreams = new Map<string, Upstream>(
    options.providers.map((provider) => {
      const upstream = createUpstream(provider)
      return [pathOf(provider.id) + upstream.protocol.path, upstream]
    })
  )
  const tokens = createTokens()
  const accounts = createAccounts({
    usageWaitMs: times.usageWaitMs ?? LIMITS.usageWaitMs,
    shareWaitMs: times.shareWaitMs ?? LIMITS.modelShareWaitMs,
    clock
  })
  const dispatcher = new Agent({ connections: null, pipelining: 1 })
  const deps = {
    tokens,
    accounts,
    prices,
    dispatcher,
    clock,
    log,
    onMetric,
    inputs: createInputCount(),
    parser: createJsonParser(),
    bodies: createBodyBudget({
      ownerBytesMax: LIMITS.modelRequestsPerAgentBytesMax,
      bytesMax: LIMITS.modelRequestsBytesMax
    }),
    bodyGraceMs: times.bodyGraceMs ?? LIMITS.bodyGraceMs,
    drainMs: times.drainMs ?? LIMITS.modelDrainMs,
    silenceMs: times.silenceMs ?? LIMITS.modelSilenceMs
  }

  const serve = async (upstream: Upstream | undefined, exchange: Exchange) => {
    try {
      if (!upstream || exchange.request.method !== 'POST') {
        throw new GatewayRefusal('nothing_here', 'No route matches this address.')
      }
      await serveRequest(deps, upstream, exchange)
    } catch (error) {
      if (!(error instanceof GatewayRefusal)) log.error({ err: error }, 'model request failed')
      const refusal =
        error instanceof GatewayRefusal
          ? error
          : new GatewayRefusal('broken', 'Internal error of the model gateway.')
      onMetric({ kind: 'refused', why: refusal.kind })
      refuse(exchange.response, upstream, refusal)
    }
  }

  const server = createModelServer(times, (request, response) => {
    // No query passes: providers have parameters that cost more than tokens.
    const [path = '/'] = (request.url ?? '/').split('?', 1)
    void serve(upstreams.get(path), { request, response })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo

  return {
    addressOf: (providerId) => `http://127.0.0.1:${port}${pathOf(providerId)}`,
    accept: (connection) => void server.emit('connection', connection),
    tokenFor: tokens.issue,
    revoke: tokens.revoke,
    bind: accounts.bind,
    async [Symbol.asyncDispose]() {
      server.close()
      server.closeAllConnections()
      await dispatcher.destroy()
      await deps.parser[Symbol.asyncDispose]()
    }
  }
}

/** The HTTP server: headers that do not arrive in time end the connection, and so does a body that is not read. */
function createModelServer(
  { headersMs = LIMITS.headersMs, unreadBodyMs = LIMITS.unreadBodyMs }: Times,
  serve: (request: IncomingMessage, response: ServerResponse) => void
): Server {
  const connectionsCheckingInterval = Math.min(headersMs, CHECK_CONNECTIONS_EVERY_MS)
  const server = createServer({ connectionsCheckingInterval }, (request, response) => {
    response.once('finish', () => discardUnreadBody(request, unreadBodyMs))
    serve(request, response)
  })
  // Agents reuse connections, and would lose a request on one that is closed while idle.
  server.keepAliveTimeout = 0
  // A body has a minimum rate instead: a large prompt may take its time.
  server.requestTimeout = 0
  server.headersTimeout = headersMs
  return server
}

function refuse(
  response: ServerResponse,
  upstream: Upstream | undefined,
  { kind, message }: GatewayRefusal
): void {
  if (response.headersSent) return void response.destroy()
  const { status, type } = meaningOf(kind)
  const body = upstream?.protocol.refusal(type, message) ?? { error: { type, message } }
  const retryAfter = kind === 'busy' ? { 'retry-after': '1' } : {}
  response.writeHead(status, { 'content-type': 'application/json', ...retryAfter })
  response.end(JSON.stringify(body))
}
