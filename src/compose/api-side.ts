import type { FastifyInstance } from 'fastify'
import type { Config } from '#config'
import { createIdempotencyStore } from '#db'
import { createApp, type AppDeps, type Health } from '#http'
import { createJobs } from '#jobs'
import { createReadiness } from './readiness.ts'
import { foldersOf, type Services } from './services.ts'
import { VERSION } from './version.ts'
import type { WorkerSide } from './worker-side.ts'

/** Shorter times for tests. */
export type ApiTuning = Pick<AppDeps, 'timings' | 'requestsPerMinuteMax'>

export interface ApiOptions {
  readonly config: Config
  readonly services: Services
  readonly worker: Pick<WorkerSide, 'supervisor' | 'editing' | 'commands'>
  readonly adminKey: string
  readonly health: Pick<Health, 'database' | 'coordination'>
  /** Aborts when the server is to stop. */
  readonly signal: AbortSignal
  readonly tuning: ApiTuning
}

/** The HTTP API with everything that requests use. Not listening yet. */
export function createApi(options: ApiOptions): Promise<FastifyInstance> {
  const { config, services, worker, signal } = options
  const { db, metrics } = services
  const { supervisor, editing, commands } = worker
  const { modes } = supervisor

  return createApp({
    ...services,
    editing,
    adminKey: options.adminKey,
    jobs: createJobs({ ...services, metrics: metrics.jobs, modes, commands }),
    idempotency: createIdempotencyStore(db),
    version: VERSION,
    health: () => ({
      status: signal.aborted ? 'stopping' : 'ok',
      version: VERSION,
      kilo: { version: supervisor.kiloVersion },
      isolation: supervisor.isolation,
      network: supervisor.network,
      uid: supervisor.uid,
      ...options.health
    }),
    ready: createReadiness({
      db,
      disk: services.disk,
      folders: foldersOf(config),
      log: services.log
    }),
    metrics: metrics.registry,
    publicUrl: config.publicUrl,
    allowedOrigins: config.allowedOrigins,
    socketsPerUserMax: config.socketsPerUserMax,
    socketsPerAddressMax: config.socketsPerAddressMax,
    trustedProxies: config.trustedProxies,
    signal,
    ...options.tuning
  })
}

/** Binds the address of the settings. Answers `http://host:port`. */
export async function listen(app: FastifyInstance, { host, port }: Config): Promise<string> {
  try {
    return await app.listen({ host, port })
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException
    const reason =
      code === 'EADDRINUSE'
        ? `PORT ${port}: address already in use`
        : `HOST ${host}, PORT ${port}: cannot listen: ${message}`
    throw new Error(reason, { cause })
  }
}
