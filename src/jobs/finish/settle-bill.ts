import { reconcile, type Disagreement, type RequestMeter, type Step } from '#billing'
import type { Tx } from '#db'
import { NO_USAGE_TOTALS, type UsageTotals } from '#kernel/frames.ts'
import { ZERO, type Microcredits } from '#kernel/money.ts'

/** What an agent reported of the steps that it finished, and what they would cost. */
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
 * What a job is charged for: the gateway's count, whatever the agent reported, and the steps on which the two disagree.
 * The agent's report counts only when none of its steps passed the gateway; then `metered` is false.
 */
export async function settleBill(
  meter: RequestMeter,
  tx: Tx,
  jobId: string,
  reported: ReportedUsage | null
): Promise<Bill> {
  const { cost, usage, requests } = await meter.settle(tx, jobId)
  const steps = reported?.steps ?? []
  if (requests.length > 0) {
    return { cost, usage: { ...usage, metered: true }, mismatch: reconcile(steps, requests) }
  }
  if (reported === null || steps.length === 0)
    return { cost: ZERO, usage: NO_USAGE_TOTALS, mismatch: [] }
  return { cost: reported.cost, usage: { ...reported.usage, metered: false }, mismatch: [] }
}
