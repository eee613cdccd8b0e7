import type { Db } from '#db'
import type { UserId } from '#kernel/ids.ts'
import { toCredits } from '#kernel/money.ts'
import type { AiCommand, Estimate } from '../job-schemas.ts'
import { planReserve, resolveCommand, type ResolveDeps } from './resolve-command.ts'
import { likelyCost } from './reserve-policy.ts'

/** Estimates what a command would reserve and cost. Writes nothing; refuses what submitting would refuse. */
export async function estimateJob(
  deps: ResolveDeps & { readonly db: Db },
  userId: UserId,
  projectId: string,
  command: AiCommand
): Promise<Estimate> {
  const resolved = await resolveCommand(deps, deps.db, userId, projectId, command)
  const { amount, balance, recentCosts } = await planReserve(deps, deps.db, resolved)
  const likely = likelyCost(recentCosts)

  return {
    creditsReserved: toCredits(amount),
    likely: likely && { low: toCredits(likely.low), high: toCredits(likely.high) },
    basedOnJobs: recentCosts.length,
    balance: toCredits(balance),
    model: resolved.model,
    mode: resolved.mode
  }
}
