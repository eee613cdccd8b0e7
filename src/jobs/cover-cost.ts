import { JobFailure } from '#kernel/job-failures.ts'
import { least, microcredits, type Microcredits } from '#kernel/money.ts'
import type { JobRun } from './job-run.ts'
import { updateReserved } from './job-store.ts'

/**
 * Keeps the hold ahead of the cost: extends it from the wallet, up to the job's `maxCredits`, and stops the
 * job with `credits_exhausted` when that is not possible. `step` makes an extension happen once.
 */
export async function coverCost(run: JobRun, step: string): Promise<void> {
  const { db, ledger, settings } = run.deps
  const { cost } = run.meter.total()
  if (cost < run.reserved) return

  const ceiling = run.job.max_credits === null ? undefined : BigInt(run.job.max_credits)
  const wanted = microcredits(cost + settings.reserveCredits)
  const target = ceiling === undefined ? wanted : least(wanted, microcredits(ceiling))
  if (target > run.reserved) await extendBy(microcredits(target - run.reserved))

  if (cost > run.reserved) {
    run.stop(new JobFailure('credits_exhausted', 'the job has used up what it may cost'))
  }

  async function extendBy(amount: Microcredits): Promise<void> {
    const asked = { holdId: run.job.id, step, amount }
    let answer = await ledger.extend(db, asked)
    let got = amount
    if (answer.kind === 'short' && answer.missing < amount) {
      got = microcredits(amount - answer.missing)
      answer = await ledger.extend(db, { ...asked, amount: got })
    }
    if (answer.kind !== 'held') return
    run.reserved = microcredits(run.reserved + got)
    await updateReserved(db, run.job.id, run.reserved)
  }
}
