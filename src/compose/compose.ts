import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import { sql } from 'kysely'
import type { Logger } from 'pino'
import { createAccounts, loadOrCreateAdminKey } from '#accounts'
import { createLedger, createRequestMeter, readPriceList, type PriceList } from '#billing'
import type { Config } from '#config'
import { createIdempotencyStore } from '#db'
import { createEventLog, createFeed, createRetention } from '#events'
import { openGateway, type Gateway, type GatewayOptions } from '#gateway'
import { createApp, type AppDeps } from '#http'
import { createJobs, createWorker, type JobSettings } from '#jobs'
import { systemClock } from '#kernel/clock.ts'
import type { ProjectId } from '#kernel/ids.ts'
import { LIMITS } from '#kernel/limits.ts'
import { openSupervisor, type ProviderAccess, type SupervisorOptions } from '#supervisor'
import { createWorkspaces } from '#workspaces'
import { openEmbedded } from '../adapters/embedded/open.ts'
import { createMetrics } from './metrics.ts'
import { VERSION } from './version.ts'

/** What a test may want otherwise: shorter times, nothing else. */
export interface Tuning {
  readonly agents?: Pick<SupervisorOptions, 'times' | 'modelTimeouts' | 'modelRetriesMax'>
  readonly gateway?: Pick<GatewayOptions, 'times'>
  readonly jobs?: Partial<JobSettings>
  readonly http?: Pick<AppDeps, 'timings' | 'requestsPerMinuteMax'>
}

export interface Product extends AsyncDisposable {
  /** Where it listens: `http://host:port`. */
  readonly url: string
  readonly adminKey: string
  /** The file with the operator's key, at the start that made it. */
  readonly adminKeyPath: string | null
  readonly isolation: 'bubblewrap' | 'process'
}

/** The whole product, from the ground up to its doors. Whatever opens closes again, in reverse, if a later line throws. */
export async function compose(config: Config, log: Logger, tuning: Tuning = {}): Promise<Product> {
  await using opening = new AsyncDisposableStack()
  const clock = systemClock
  const metrics = createMetrics()

  const prices = await readPriceList(config.priceList)
  const backbone = opening.use(
    await openEmbedded({ dataDir: config.dataDir, queueWidth: config.agentsMax, clock, log })
  )
  const { db, bus, lock, queue } = backbone
  const admin = await loadOrCreateAdminKey(config.dataDir, config.adminApiKey)
  const accounts = createAccounts()
  const ledger = createLedger()
  const requests = createRequestMeter()
  const events = createEventLog(db, bus)
  const feed = createFeed(db, bus)
  const retention = opening.use(
    createRetention({ db, clock, log, keepMs: keepMsOf(config), onRemoved: metrics.framesRemoved })
  )
  const workspaces = opening.use(createWorkspaces({ projectsDir: config.projectsDir, clock, log }))
  const gateway = opening.use(
    await openGateway({
      providers: config.providers,
      ...{ prices, clock, log, onMetric: metrics.gateway },
      ...tuning.gateway
    })
  )
  const supervisor = opening.use(
    await openSupervisor({
      kiloBin: config.kiloBin,
      agentsDir: join(config.dataDir, 'agents'),
      isolation: config.isolation,
      agentsMax: config.agentsMax,
      idleStopMs: config.idleStopSeconds * 1000,
      providersFor: (projectId) => providersOf(config, prices, gateway, projectId),
      onAgentExited: (providers) => providers.forEach(({ apiKey }) => gateway.revoke(apiKey ?? '')),
      defaultModel: config.model,
      onMetric: metrics.supervisor,
      log,
      clock,
      ...tuning.agents
    })
  )
  metrics.watchLedger(db, ledger)

  const settings: JobSettings = {
    defaultModel: config.model,
    reserveCredits: config.reserveCredits,
    jobTimeoutMs: config.jobTimeoutSeconds * 1000,
    promptAnswerMs: LIMITS.promptAnswerMs,
    providers: config.providers.map(({ id }) => id),
    ...tuning.jobs
  }
  const jobDeps = {
    ...{ db, bus, lock, queue, events, feed, ledger, prices, requests, gateway },
    ...{ supervisor, workspaces, clock, log, settings, metrics: metrics.jobs }
  }
  const jobs = createJobs(jobDeps)
  const worker = opening.use(createWorker(jobDeps))

  const closing = new AbortController()
  const app = await createApp({
    ...{ db, accounts, jobs, events, feed, workspaces, ledger, prices, log, clock },
    adminKey: admin.key,
    idempotency: createIdempotencyStore(db),
    version: VERSION,
    health: () => ({
      status: closing.signal.aborted ? 'stopping' : 'ok',
      version: VERSION,
      kilo: { version: supervisor.kiloVersion },
      database: backbone.database,
      coordination: backbone.coordination,
      isolation: supervisor.isolation
    }),
    ready: () => sql`SELECT 1`.execute(db).then(Boolean, () => false),
    metrics: metrics.registry,
    allowedOrigins: config.allowedOrigins,
    signal: closing.signal,
    ...tuning.http
  })
  opening.defer(() => app.close())
  // Streams and sockets end first, then the server closes, and only then the work behind it.
  opening.defer(() => closing.abort())
  const url = await listen(app, config)
  // Last: a start that fails must not have begun what others have asked for.
  worker.start()
  retention.start()

  const opened = opening.move()
  return {
    url,
    adminKey: admin.key,
    adminKeyPath: admin.made ? admin.path : null,
    isolation: supervisor.isolation,
    [Symbol.asyncDispose]: () => opened.disposeAsync()
  }
}

const DAY_MS = 24 * 60 * 60 * 1000
const keepMsOf = ({ eventRetentionDays: days }: Config) =>
  days === undefined ? undefined : days * DAY_MS

async function listen(app: FastifyInstance, { host, port }: Config): Promise<string> {
  try {
    return await app.listen({ host, port })
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException
    const why = code === 'EADDRINUSE' ? 'somebody listens there already' : message
    throw new Error(`HOST ${host}, PORT ${port} cannot be listened on: ${why}`, { cause })
  }
}

/** Each provider as an agent may know it: the gateway's address, a token of its own, the models that have a price. */
function providersOf(
  config: Config,
  prices: PriceList,
  gateway: Gateway,
  projectId: ProjectId
): ProviderAccess[] {
  const token = gateway.tokenFor(projectId)
  return config.providers.map(({ id, baseUrl }) => ({
    ...{ id, baseUrl: gateway.addressOf(id), apiKey: token, upstreamUrl: baseUrl },
    models: prices
      .models()
      .filter((model) => model.startsWith(`${id}/`))
      .map((model) => ({
        id: model.slice(id.length + 1),
        contextTokens: prices.find(model)?.contextTokens ?? 128_000,
        outputTokens: prices.find(model)?.outputTokens ?? LIMITS.answerTokensDefault
      }))
  }))
}
