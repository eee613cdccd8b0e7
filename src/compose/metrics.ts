import { Counter, Registry, collectDefaultMetrics } from 'prom-client'
import type { Ledger } from '#billing'
import type { Db } from '#db'
import type { GatewayMetric } from '#gateway'
import type { JobMetrics } from '#jobs'
import type { Removals } from '#kernel/machine/removals.ts'
import type { Supervisor, SupervisorMetric } from '#supervisor'
import { createSupervisorMetrics, watchAgents } from './metrics/agents.ts'
import { createGatewayMetrics } from './metrics/gateway.ts'
import { createJobMetrics } from './metrics/jobs.ts'
import { watchLedger } from './metrics/ledger.ts'
import { watchRemovals } from './metrics/removals.ts'

export interface Metrics {
  readonly registry: Registry
  readonly jobs: JobMetrics
  readonly supervisor: (metric: SupervisorMetric) => void
  readonly gateway: (metric: GatewayMetric) => void
  /** Counts frames that retention has removed. */
  readonly framesRemoved: (frames: number) => void
  /** Exports how many agents are in each state, and what they use. */
  watchAgents(supervisor: Pick<Supervisor, 'count' | 'memoryBytes'>): void
  /** Exports how many removed folders are still there. */
  watchRemovals(removals: Pick<Removals, 'left'>): void
  /** Exports the audit of the ledger: each of its sums must be zero. */
  watchLedger(db: Db, ledger: Ledger): void
}

/** The metrics of `/metrics`, except those of the HTTP server. */
export function createMetrics(): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const removed = new Counter({
    name: 'kilowatt_frames_removed_total',
    help: 'Frames that were removed from history because of their age',
    registers: [registry]
  })

  return {
    registry,
    jobs: createJobMetrics(registry),
    supervisor: createSupervisorMetrics(registry),
    gateway: createGatewayMetrics(registry),
    framesRemoved: (frames) => removed.inc(frames),
    watchAgents: (supervisor) => watchAgents(registry, supervisor),
    watchRemovals: (removals) => watchRemovals(registry, removals),
    watchLedger: (db, ledger) => watchLedger(registry, db, ledger)
  }
}
