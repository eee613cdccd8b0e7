import type { Ledger, PriceList, Purse, RequestMeter } from '#billing'
import type { Db } from '#db'
import type { EventLog, Feed } from '#events'
import type { Clock } from '#kernel/clock.ts'
import type { ProjectId } from '#kernel/ids.ts'
import type { Log } from '#kernel/log.ts'
import type { Microcredits } from '#kernel/money.ts'
import type { Bus } from '#ports/bus.ts'
import type { ProjectLock } from '#ports/lock.ts'
import type { Queue } from '#ports/queue.ts'
import type { Supervisor } from '#supervisor'
import type { Workspaces } from '#workspaces'

/** Everything that jobs may touch: this is where supervisor, billing, workspaces and events meet. */
export interface JobDeps {
  readonly db: Db
  readonly bus: Bus
  readonly lock: ProjectLock
  readonly queue: Queue
  readonly events: EventLog
  readonly feed: Feed
  readonly ledger: Ledger
  readonly prices: PriceList
  readonly requests: RequestMeter
  readonly gateway: ModelGate
  readonly supervisor: Supervisor
  readonly workspaces: Workspaces
  readonly clock: Clock
  readonly log: Log
  readonly metrics: JobMetrics
  readonly settings: JobSettings
}

/** The way of an agent to its models, as far as jobs know it. */
export interface ModelGate {
  /** From now on this purse pays for what the project's agent asks; nobody does once it is disposed. */
  bind(
    projectId: ProjectId,
    account: {
      readonly purse: Purse
      readonly models: readonly string[]
      readonly onExhausted: () => void
    }
  ): AsyncDisposable
}

export interface JobSettings {
  readonly defaultModel: string
  readonly reserveCredits: Microcredits
  readonly jobTimeoutMs: number
  /** How long a permission or a question waits for a person before policy answers. */
  readonly promptAnswerMs: number
  /** Providers that have a key: a model of any other is unknown here. */
  readonly providers: readonly string[]
}

/** What jobs count, in the field's words; `/metrics` shows them. */
export interface JobMetrics {
  jobEnded(facts: { status: string; code: string; seconds: number }): void
  usageMismatch(): void
  unrecognisedEvent(name: string): void
}

export const noMetrics: JobMetrics = {
  jobEnded: () => {},
  usageMismatch: () => {},
  unrecognisedEvent: () => {}
}
