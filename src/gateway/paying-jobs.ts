import type { Purse } from '#billing'
import type { ProjectId } from '#kernel/ids.ts'
import { GatewayRefusal } from './refusal.ts'

/** The job that pays for what a project's agent asks. */
export interface Account {
  readonly purse: Purse
  /** Models that may be asked, as `provider/model`. */
  readonly models: readonly string[]
  /** A request could not be paid for. */
  readonly onExhausted: () => void
}

/** An account while its job runs, and the requests that it has under way. */
export interface OpenAccount extends Account {
  readonly projectId: ProjectId
  /** Aborts when nobody waits for an answer any more. */
  readonly signal: AbortSignal
  /** Keeps the account open until this has been written down. */
  during<T>(work: Promise<T>): Promise<T>
}

export interface Accounts {
  bind(projectId: ProjectId, account: Account): AsyncDisposable
  find(projectId: ProjectId): OpenAccount
}

/**
 * One account a project, for as long as its job runs. Closing it takes no new request, waits a moment for those
 * under way to tell what they cost, and then ends them: what is known by then is what they cost.
 */
export function createAccounts(usageWaitMs: number): Accounts {
  const open = new Map<ProjectId, OpenAccount>()

  return {
    bind(projectId, account) {
      const stopper = new AbortController()
      const underWay = new Set<Promise<unknown>>()
      const it: OpenAccount = {
        ...account,
        projectId,
        signal: stopper.signal,
        during(work) {
          underWay.add(work)
          return work.finally(() => underWay.delete(work))
        }
      }
      open.set(projectId, it)
      let closing: Promise<void> | undefined

      const close = async () => {
        if (open.get(projectId) === it) open.delete(projectId)
        if (underWay.size === 0) return
        const timer = setTimeout(() => stopper.abort(), usageWaitMs)
        while (underWay.size > 0) await Promise.allSettled(underWay)
        clearTimeout(timer)
      }
      return { [Symbol.asyncDispose]: () => (closing ??= close()) }
    },

    find(projectId) {
      const account = open.get(projectId)
      if (account) return account
      throw new GatewayRefusal('no_job', 'No job of this project is running.')
    }
  }
}
