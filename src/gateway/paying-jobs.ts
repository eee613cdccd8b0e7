import type { Purse } from '#billing'
import type { ProjectId } from '#kernel/ids.ts'
import { GatewayRefusal } from './refusal.ts'

/** The job that pays for the model requests of a project's agent. */
export interface Account {
  readonly purse: Purse
  /** The allowed models, as `provider/model`. */
  readonly models: readonly string[]
  /** Called when the credits do not cover a request. */
  readonly onExhausted: () => void
}

/** The account of a running job, and its requests in progress. */
export interface OpenAccount extends Account {
  readonly projectId: ProjectId
  /** Aborts when the job has ended and its requests have not completed in time. */
  readonly signal: AbortSignal
  /** Keeps the account open until the work has finished. */
  during<T>(work: Promise<T>): Promise<T>
}

export interface Accounts {
  bind(projectId: ProjectId, account: Account): AsyncDisposable
  find(projectId: ProjectId): OpenAccount
}

/**
 * One account per project while its job runs. Closing it rejects new requests, waits up to `usageWaitMs` for requests in
 * progress to report their usage, and then aborts them: they are charged by what is known then.
 */
export function createAccounts(usageWaitMs: number): Accounts {
  const open = new Map<ProjectId, OpenAccount>()

  return {
    bind(projectId, account) {
      const stopper = new AbortController()
      const inProgress = new Set<Promise<unknown>>()
      const it: OpenAccount = {
        ...account,
        projectId,
        signal: stopper.signal,
        during(work) {
          inProgress.add(work)
          return work.finally(() => inProgress.delete(work))
        }
      }
      open.set(projectId, it)
      let closing: Promise<void> | undefined

      const close = async () => {
        if (open.get(projectId) === it) open.delete(projectId)
        if (inProgress.size === 0) return
        const timer = setTimeout(() => stopper.abort(), usageWaitMs)
        while (inProgress.size > 0) await Promise.allSettled(inProgress)
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
