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

  const stops = new Counter({
    name: 'kilowatt_agent_stops_total',
    help: 'Agents that ended, by reason: idle, evicted, crashed, stalled, start_failed, …',
    labelNames: ['reason'],
    registers
  })
  const counted = countersOf(registry)

  const excesses = new Counter({
    name: 'kilowatt_agent_limits_exceeded_total',
    help: 'Turns that failed because their room exceeded a limit: out-of-memory, too-many-processes, disk-full',
    labelNames: ['limit'],
    registers
  })

  return (metric) => {
    if (metric.kind === 'limit-exceeded') return excesses.inc({ limit: metric.limit })
    if (metric.kind === 'ended') return stops.inc({ reason: metric.reason })
    const counter = counted[metric.kind]
    if (counter) return counter.inc()
    if (metric.kind === 'egress-refused') return refusals.inc({ reason: metric.reason })
    events.inc({ kind: metric.kind })
    if (metric.kind === 'started') starts.observe(metric.durationMs / 1000)
  }
}

/** The kinds of metrics that are one number each. */
function countersOf(registry: Registry): Partial<Record<SupervisorMetric['kind'], Counter>> {
  const counter = (name: string, help: string) =>
    new Counter({ name: `kilowatt_agent_${name}_total`, help, registers: [registry] })
  return {
    restarted: counter('restarts', 'Starts of agents but the first one of each project'),
    broken: counter('broken', 'Projects whose agent has failed too often'),
    repaired: counter('repaired', 'Projects whose agent works again, or was reset by a request'),
    orphan: counter('orphans', 'Agents of an earlier server that still ran, and were ended'),
    'probe-failed': counter('probes_failed', 'Health requests that an agent did not answer in time')
  }
}

/** Exports how many agents are in each state, and what they use together. */
export function watchAgents(
  registry: Registry,
  supervisor: Pick<Supervisor, 'count' | 'memoryBytes'>
): void {
  const registers = [registry]
  const agents = new Gauge({
    name: 'kilowatt_agents',
    help: 'Projects whose agent is in this state',
    labelNames: ['state'],
    registers,
    collect() {
      for (const [state, number] of Object.entries(supervisor.count()))
        agents.set({ state }, number)
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
