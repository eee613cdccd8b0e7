import type { Ledger, PriceList, Purse, RequestMeter } from '#billing'
import type { Db } from '#db'
import type { EventLog, Feed } from '#events'
import type { Clock } from '#kernel/clock.ts'
import type { Goodwill } from '#kernel/frames.ts'
import type { ProjectId } from '#kernel/ids.ts'
import type { Log } from '#kernel/log.ts'
import type { DiskSpace } from '#kernel/machine/disk-space.ts'
import type { Microcredits } from '#kernel/money.ts'
import type { Bus } from '#ports/bus.ts'
import type { ProjectLock } from '#ports/lock.ts'
import type { Queue } from '#ports/queue.ts'
import type { Supervisor } from '#supervisor'
import type { Diff, RawPatch, Resolution, Workspaces } from '#workspaces'
import type { AgentView } from './agent-schemas.ts'
import type { RepairResult } from './job-schemas.ts'
import type { ReviewDone, ReviewWork } from './manage/review-steps.ts'
import type { ClaimedReview } from './stores/review-store.ts'

/** What requests about jobs need. None of it needs an agent or a worktree on this machine. */
export interface ApiDeps {
  readonly db: Db
  readonly bus: Bus
  readonly queue: Queue
  readonly events: EventLog
  readonly feed: Feed
  readonly ledger: Ledger
  readonly prices: PriceList
  readonly requests: RequestMeter
  /** The modes that a command may name, as the last started agent listed them. */
  readonly modes: () => readonly string[]
  readonly commands: ProjectCommands
  readonly clock: Clock
  readonly log: Log
  readonly metrics: JobMetrics
  readonly settings: JobSettings
}

/** What carrying out jobs needs besides: here supervisor, billing, workspaces and events meet. */
export interface WorkerDeps extends ApiDeps {
  readonly lock: ProjectLock
  readonly disk: DiskSpace
  readonly gateway: ModelGate
  readonly supervisor: Supervisor
  readonly workspaces: Workspaces
}

/**
 * What only the worker of a project can do, because it has the worktree and the agent. A request writes its command as a
 * row (a claimed review, a deleted project) before it asks for it here, so that the worker's next start finishes a
 * command that a crash interrupted.
 */
export interface ProjectCommands {
  carryOutReview(review: ClaimedReview, resolutions?: readonly Resolution[]): Promise<ReviewDone>
  /** Refuses what the review would refuse, and changes nothing. */
  tryReview(projectId: ProjectId, work: Omit<ReviewWork, 'below'>): Promise<ReviewDone>
  diff(projectId: ProjectId, base: string, head: string, path?: string): Promise<Diff>
  /** Git's own bytes. The caller reads the stream to its end or destroys it. */
  rawDiff(projectId: ProjectId, base: string, head: string, path?: string): Promise<RawPatch>
  clearProject(projectId: ProjectId): Promise<void>
  repair(projectId: ProjectId): Promise<RepairResult>
  agent(projectId: ProjectId): Promise<AgentView>
  /** Needs no row: a crash ends every agent. */
  restartAgent(projectId: ProjectId): Promise<AgentView>
}

/** What jobs need of the model gateway. */
export interface ModelGate {
  /** Until it is disposed, this purse pays for the model requests that carry its token; without one they are refused. */
  bind(
    projectId: ProjectId,
    account: {
      readonly purse: Purse
      readonly model: string
      readonly agentSessionId: string
      /** Model requests wait for it, and are refused when it rejects. */
      readonly ready: Promise<unknown>
      readonly onExhausted: () => void
      readonly onRateLimited: (waitMs: number) => void
    }
  ): AsyncDisposable & { readonly turnToken: string }
}

export interface JobSettings {
  readonly defaultModel: string
  readonly reserveCredits: Microcredits
  /** The most credits that a user gets back in 24 hours for failures that an agent can cause itself. */
  readonly goodwillPerDay: Microcredits
  /** The number of a user's jobs in an hour whose refund is goodwill. */
  readonly goodwillJobsPerHour: number
  readonly jobTimeoutMs: number
  /** The longest time for which a job waits until its model provider accepts the next request. */
  readonly modelRetryWaitMaxMs: number
  /** How long a permission or a question waits for a person's answer before the policy answers. */
  readonly promptAnswerMs: number
  /** Providers that have a key: models of other providers are unknown here. */
  readonly providers: readonly string[]
}

/** What jobs count for `/metrics`. */
export interface JobMetrics {
  jobEnded(facts: { status: string; code: string; seconds: number }): void
  usageMismatch(): void
  goodwill(decision: Goodwill): void
  unrecognisedEvent(name: string): void
}

export const noMetrics: JobMetrics = {
  jobEnded: () => {},
  usageMismatch: () => {},
  goodwill: () => {},
  unrecognisedEvent: () => {}
}
