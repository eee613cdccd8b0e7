import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client'
import type { Ledger } from '#billing'
import type { Db } from '#db'
import type { GatewayMetric } from '#gateway'
import type { JobMetrics } from '#jobs'
import type { SupervisorMetric } from '#supervisor'

const JOB_SECONDS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600]

export interface Metrics {
  readonly registry: Registry
  readonly jobs: JobMetrics
  readonly supervisor: (metric: SupervisorMetric) => void
  readonly gateway: (metric: GatewayMetric) => void
  /** Frames that were too old to be kept. */
  readonly framesRemoved: (frames: number) => void
  /** Shows the ledger's own proof: each of its sums is zero, or somebody should wake up. */
  watchLedger(db: Db, ledger: Ledger): void
}

/** The audit reads every transfer there is, so scrapes share one. */
const AUDIT_EVERY_MS = 60_000

function cachedFor<T>(ms: number, read: () => Promise<T>): () => Promise<T> {
  let last: { readonly value: Promise<T>; readonly atMs: number } | undefined
  return () => {
    const now = performance.now()
    if (!last || now - last.atMs > ms) last = { value: read(), atMs: now }
    // A failure is not remembered: the next scrape reads again.
    last.value.catch(() => (last = undefined))
    return last.value
  }
}

/** Everything that `/metrics` counts, by its Prometheus name. */
export function createMetrics(): Metrics {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry })

  const jobSeconds = new Histogram({
    name: 'kilowatt_job_duration_seconds',
    help: 'From the request to the last frame, by how the job ended',
    labelNames: ['status', 'code'],
    buckets: JOB_SECONDS,
    registers
  })
  const mismatches = new Counter({
    name: 'kilowatt_usage_mismatches_total',
    help: 'Jobs on whose finished steps the agent and the gateway did not agree',
    registers
  })
  const unrecognised = new Counter({
    name: 'kilowatt_unrecognised_agent_events_total',
    help: 'Words of the agent that this version has no meaning for',
    labelNames: ['event'],
    registers
  })
  const agents = new Counter({
    name: 'kilowatt_agent_events_total',
    help: 'What happened to agents: started, stopped, crashed, stalled, reconnected, …',
    labelNames: ['kind'],
    registers
  })
  const requests = new Counter({
    name: 'kilowatt_model_requests_total',
    help: 'Requests to model providers, by how they ended',
    labelNames: ['model', 'outcome'],
    registers
  })
  const firstByte = new Histogram({
    name: 'kilowatt_model_first_byte_seconds',
    help: 'From a model request to the first byte of its answer',
    labelNames: ['model'],
    buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    registers
  })
  const refusals = new Counter({
    name: 'kilowatt_model_refusals_total',
    help: 'Model requests that the gateway did not let through, by why',
    labelNames: ['why'],
    registers
  })
  const overruns = new Counter({
    name: 'kilowatt_model_overruns_total',
    help: 'Model requests that cost more than the most that was thought: anything but zero is an alarm',
    labelNames: ['model'],
    registers
  })
  const removed = new Counter({
    name: 'kilowatt_frames_removed_total',
    help: 'Frames of the history that were too old to be kept',
    registers
  })
  const agentStart = new Histogram({
    name: 'kilowatt_agent_start_seconds',
    help: 'From spawn to ready and warm',
    buckets: [1, 2, 3, 4, 6, 10, 20, 60],
    registers
  })

  return {
    registry,

    jobs: {
      jobEnded: ({ status, code, seconds }) => jobSeconds.observe({ status, code }, seconds),
      usageMismatch: () => mismatches.inc(),
      unrecognisedEvent: (event) => unrecognised.inc({ event })
    },

    supervisor(metric) {
      agents.inc({ kind: metric.kind })
      if (metric.kind === 'started') agentStart.observe(metric.durationMs / 1000)
    },

    gateway(metric) {
      if (metric.kind === 'refused') return refusals.inc({ why: metric.why })
      const { model } = metric
      if (metric.kind === 'overrun') return overruns.inc({ model })
      requests.inc({ model, outcome: metric.outcome })
      if (metric.ttfbMs !== null) firstByte.observe({ model }, metric.ttfbMs / 1000)
    },

    framesRemoved: (frames) => removed.inc(frames),

    watchLedger(db, ledger) {
      const proof = cachedFor(AUDIT_EVERY_MS, () => ledger.audit(db))
      const audit = new Gauge({
        name: 'kilowatt_ledger_audit',
        help: 'Every sum of the ledger audit: anything but zero is an alarm',
        labelNames: ['sum'],
        registers,
        async collect() {
          const sums = await proof()
          for (const [sum, value] of Object.entries(sums)) audit.set({ sum }, Number(value))
        }
      })
      const loss = new Gauge({
        name: 'kilowatt_platform_loss_credits',
        help: 'What providers were paid and nobody was charged for',
        registers,
        async collect() {
          loss.set(Number(await ledger.platformLoss(db)) / 1_000_000)
        }
      })
    }
  }
}
