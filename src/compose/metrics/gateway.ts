import { Counter, Histogram, type Registry } from 'prom-client'
import type { GatewayMetric } from '#gateway'

export function createGatewayMetrics(registry: Registry): (metric: GatewayMetric) => void {
  const registers = [registry]
  const requests = new Counter({
    name: 'kilowatt_model_requests_total',
    help: 'Requests to model providers, by outcome',
    labelNames: ['model', 'outcome'],
    registers
  })
  const firstByte = new Histogram({
    name: 'kilowatt_model_first_byte_seconds',
    help: 'Time from a model request to the first byte of its answer',
    labelNames: ['model'],
    buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    registers
  })
  const refusals = new Counter({
    name: 'kilowatt_model_refusals_total',
    help: 'Model requests that the gateway refused, by reason',
    labelNames: ['why'],
    registers
  })
  const overruns = new Counter({
    name: 'kilowatt_model_overruns_total',
    help: 'Model requests that cost more than their maximum: anything but zero is an alarm',
    labelNames: ['model'],
    registers
  })
  const implausible = new Counter({
    name: 'kilowatt_model_implausible_usage_total',
    help: 'Answers whose usage cannot be true as the provider counted it: it was estimated',
    labelNames: ['model'],
    registers
  })

  return (metric) => {
    if (metric.kind === 'refused') return refusals.inc({ why: metric.why })
    const { model } = metric
    if (metric.kind === 'overrun') return overruns.inc({ model })
    if (metric.kind === 'implausible-usage') return implausible.inc({ model })
    requests.inc({ model, outcome: metric.outcome })
    if (metric.ttfbMs !== null) firstByte.observe({ model }, metric.ttfbMs / 1000)
  }
}
