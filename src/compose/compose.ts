import type { Logger } from 'pino'
import { loadOrCreateAdminKey } from '#accounts'
import type { Config } from '#config'
import { createRetention } from '#events'
import type { JobSettings } from '#jobs'
import { systemClock } from '#kernel/clock.ts'
import { watchDiskSpace } from '#kernel/machine/disk-space.ts'
import { createApi, listen, type ApiTuning } from './api-side.ts'
import { openBackbone } from './backbone.ts'
import { listenForMetrics } from './metrics/listener.ts'
import { createMetrics } from './metrics.ts'
import { createServices, foldersOf } from './services.ts'
import { openWorkerSide, type WorkerTuning } from './worker-side.ts'

/** What a test may set besides the configuration: shorter times, nothing else. */
export interface Tuning extends WorkerTuning {
  readonly jobs?: Partial<JobSettings>
  readonly http?: ApiTuning
}

export interface Product extends AsyncDisposable {
  /** Where it listens: `http://host:port`. */
  readonly url: string
  /** Where the metrics are without a key; null without METRICS_PORT. */
  readonly metricsUrl: string | null
  readonly adminKey: string
  /** The file with the operator's key, at the start that created it. */
  readonly adminKeyPath: string | null
  /** How agents are kept apart: see docs/isolation.md. */
  readonly isolation: 'bubblewrap' | 'process'
  readonly network: 'closed' | 'shared'
  readonly uid: 'own' | 'shared'
}

/**
 * Opens the whole product, from the backbone up to its HTTP address. What has been opened closes again, in reverse
 * order, when a later step throws.
 */
export async function compose(config: Config, log: Logger, tuning: Tuning = {}): Promise<Product> {
  await using opening = new AsyncDisposableStack()
  const clock = systemClock
  const metrics = createMetrics()

  const backbone = opening.use(await openBackbone(config, clock, log))
  const { db } = backbone
  const admin = await loadOrCreateAdminKey(config.dataDir, config.adminApiKey)
  const disk = opening.use(watchDiskSpace({ folders: foldersOf(config), log }))
  const services = await createServices(config, backbone, {
    metrics,
    disk,
    log,
    ...(tuning.jobs && { jobs: tuning.jobs })
  })
  metrics.watchLedger(db, services.ledger)
  const keepMs = keepMsOf(config)
  const retention = opening.use(
    createRetention({ db, clock, log, keepMs, onRemoved: metrics.framesRemoved })
  )
  const worker = opening.use(await openWorkerSide(config, services, tuning))

  const closing = new AbortController()
  const app = await createApi({
    config,
    services,
    worker,
    adminKey: admin.key,
    health: { database: backbone.database, coordination: backbone.coordination },
    signal: closing.signal,
    tuning: tuning.http ?? {}
  })
  opening.defer(() => app.close())
  // Streams and sockets end first, then the server closes, and only then the work behind it.
  opening.defer(() => closing.abort())
  const url = await listen(app, config)
  const { metricsPort: port } = config
  const listener =
    port === undefined
      ? undefined
      : opening.use(await listenForMetrics(metrics.registry, { host: config.host, port }))
  // Last, so that a start that fails has not begun any queued job.
  worker.worker.start()
  retention.start()

  const opened = opening.move()
  return {
    url,
    metricsUrl: listener?.url ?? null,
    adminKey: admin.key,
    adminKeyPath: admin.isNew ? admin.path : null,
    isolation: worker.supervisor.isolation,
    network: worker.supervisor.network,
    uid: worker.supervisor.uid,
    [Symbol.asyncDispose]: () => opened.disposeAsync()
  }
}

const DAY_MS = 24 * 60 * 60 * 1000
const keepMsOf = ({ eventRetentionDays: days }: Config) =>
  days === undefined ? undefined : days * DAY_MS
