import { Counter, Histogram, type Registry } from 'prom-client'
import type { SupervisorMetric } from '#supervisor'

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

  return (metric) => {
    if (metric.kind === 'egress-refused') return refusals.inc({ reason: metric.reason })
    events.inc({ kind: metric.kind })
    if (metric.kind === 'started') starts.observe(metric.durationMs / 1000)
  }
}
