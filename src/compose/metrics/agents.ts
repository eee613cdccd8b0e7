import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import type { Supervisor, SupervisorMetric } from '#supervisor'

export function createSupervisorMetrics(registry: Registry): (metric: SupervisorMetric) => void {
  const registers = [registry]
  const events = new Counter({
    name: 'kilowatt_agent_events_total',
    help: 'Events in the life of agents: started, stopped, crashed, stalled, reconnected, …',
    labelNames: ['kind'],
    registers
  })
  const starts = new Histogram({
    name: 'kilowatt_agent_start_seconds',
    help: 'Time from spawning an agent until it is ready and warm',
    buckets: [1, 2, 3, 4, 6, 10, 20, 60],
    registers
  })

  const refusals = new Counter({
    name: 'kilowatt_egress_refusals_total',
    help: 'Connections out of rooms that were refused: not_allowed, private_address, bytes_used_up, …',
    labelNames: ['reason'],
    registers
  })

  const excesses = new Counter({
    name: 'kilowatt_agent_limits_exceeded_total',
    help: 'Turns that failed because their room exceeded a limit: out-of-memory, too-many-processes, disk-full',
    labelNames: ['limit'],
    registers
  })

  return (metric) => {
    if (metric.kind === 'limit-exceeded') return excesses.inc({ limit: metric.limit })
    if (metric.kind === 'egress-refused') return refusals.inc({ reason: metric.reason })
    events.inc({ kind: metric.kind })
    if (metric.kind === 'started') starts.observe(metric.durationMs / 1000)
  }
}

/** Exports how many agents run, and what they use together. */
export function watchAgents(
  registry: Registry,
  supervisor: Pick<Supervisor, 'running' | 'memoryBytes'>
): void {
  const registers = [registry]
  const running = new Gauge({
    name: 'kilowatt_agents_running',
    help: 'Agents that run now',
    registers,
    collect() {
      running.set(supervisor.running().length)
    }
  })
  const memory = new Gauge({
    name: 'kilowatt_agents_memory_bytes',
    help: 'Memory of all agents with their commands (proportional set size), of which AGENTS_MEMORY_BYTES is the limit',
    registers,
    async collect() {
      memory.set(await supervisor.memoryBytes())
    }
  })
}
