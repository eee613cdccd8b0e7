import { Counter, Histogram, type Registry } from 'prom-client'
import type { JobMetrics } from '#jobs'

const JOB_SECONDS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600]

export function createJobMetrics(registry: Registry): JobMetrics {
  const registers = [registry]
  const seconds = new Histogram({
    name: 'kilowatt_job_duration_seconds',
    help: 'Time from the request to the last frame of a job, by final status and error code',
    labelNames: ['status', 'code'],
    buckets: JOB_SECONDS,
    registers
  })
  const mismatches = new Counter({
    name: 'kilowatt_usage_mismatches_total',
    help: 'Jobs with a finished step whose usage differs between the agent and the gateway',
    registers
  })
  const goodwill = new Counter({
    name: 'kilowatt_goodwill_total',
    help: 'Failed jobs whose refund has a budget, by decision: refunded, or the limit that prevented it',
    labelNames: ['decision'],
    registers
  })
  const unrecognised = new Counter({
    name: 'kilowatt_unrecognised_agent_events_total',
    help: 'Agent events of a type that this version does not know',
    labelNames: ['event'],
    registers
  })

  return {
    jobEnded: ({ status, code, seconds: taken }) => seconds.observe({ status, code }, taken),
    usageMismatch: () => mismatches.inc(),
    goodwill: (decision) => goodwill.inc({ decision }),
    unrecognisedEvent: (event) => unrecognised.inc({ event })
  }
}
