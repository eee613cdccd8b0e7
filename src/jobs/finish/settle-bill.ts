import { reconcile, type Disagreement, type RequestMeter, type Step } from '#billing'
import type { Tx } from '#db'
import { NO_USAGE_TOTALS, type UsageTotals } from '#kernel/frames.ts'
import { ZERO, type Microcredits } from '#kernel/money.ts'

/** What an agent told of the steps that it finished, and what they would cost. */
export interface ReportedUsage {
  readonly steps: readonly Step[]
  readonly cost: Microcredits
  readonly usage: UsageTotals
}

export interface Bill {
  readonly cost: Microcredits
  readonly usage: UsageTotals
  readonly mismatch: readonly Disagreement[]
}

/**
 * What a job has to be paid for: what the gateway counted, whatever the agent told, and where the two do not agree. Only
 * an agent whose steps never passed the gateway is believed, and the bill says so.
 */
export async function settleBill(
  meter: RequestMeter,
  tx: Tx,
  jobId: string,
  told: ReportedUsage | null
): Promise<Bill> {
  const { cost, usage, requests } = await meter.settle(tx, jobId)
  const steps = told?.steps ?? []
  if (requests.length > 0) {
    return { cost, usage: { ...usage, metered: true }, mismatch: reconcile(steps, requests) }
  }
  if (told === null || steps.length === 0)
    return { cost: ZERO, usage: NO_USAGE_TOTALS, mismatch: [] }
  return { cost: told.cost, usage: { ...told.usage, metered: false }, mismatch: [] }
}
