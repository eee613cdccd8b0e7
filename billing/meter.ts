import { addUsage, NO_USAGE, type Usage } from '#kernel/agent-events.ts'
import type { UsageTotals } from '#kernel/frames.ts'
import { JobFailure } from '#kernel/job-failures.ts'
import { microcredits, ZERO, type Microcredits } from '#kernel/money.ts'
import type { PriceList } from './prices/price-list.ts'
import { picoUsdOf, picoUsdToUsd, priceOf } from './prices/pricing.ts'

/** Counts the usage of one job by the steps that its agent reports. */
export interface Meter {
  /** One model request. A step that is reported again is corrected, not added. */
  add(stepId: string, model: string, usage: Usage): void
  total(): { readonly cost: Microcredits; readonly usage: UsageTotals }
}

interface Step {
  readonly usage: Usage
  readonly cost: Microcredits
  readonly picoUsd: bigint
}

/** The usage and cost of a job so far. A model without a price fails the job instead of being free. */
export function createMeter(prices: Pick<PriceList, 'find'>): Meter {
  const steps = new Map<string, Step>()

  return {
    add(stepId, model, usage) {
      const price = prices.find(model)
      if (!price) throw new JobFailure('model_error', `The model ${model} has no price`)
      steps.set(stepId, {
        usage,
        cost: priceOf(usage, price),
        picoUsd: picoUsdOf(usage, price)
      })
    },

    total() {
      const all = [...steps.values()]
      const picoUsd = all.reduce((sum, step) => sum + step.picoUsd, 0n)
      return {
        cost: all.reduce((sum, step) => microcredits(sum + step.cost), ZERO),
        usage: {
          ...all.reduce((sum, step) => addUsage(sum, step.usage), NO_USAGE),
          costUsd: picoUsdToUsd(picoUsd)
        }
      }
    }
  }
}
