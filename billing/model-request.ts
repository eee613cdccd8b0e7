import type { Usage } from '#kernel/agent-events.ts'
import type { UsageTotals } from '#kernel/frames.ts'
import type { ProjectId, RequestId } from '#kernel/ids.ts'
import type { Microcredits } from '#kernel/money.ts'

/** A model request before it is sent: who asks, and the most that it can cost. */
export interface NewRequest {
  readonly id: RequestId
  /** The job that pays. */
  readonly holdId: string
  readonly projectId: ProjectId
  readonly agentSessionId: string | null
  readonly parentSessionId: string | null
  readonly kind: 'turn' | 'title'
  /** `provider/model`. */
  readonly model: string
  readonly maxCost: Microcredits
  /** What is charged if nobody ever hears how it ended: the input that is known. */
  readonly floorCost: Microcredits
}

/**
 * `served`: by the provider's own count. `estimated`: answered, and counted by us, since it told no usage or broke off.
 * `refused`: an HTTP error. `unanswered`: nobody answered, or nobody waited for it. `lost`: nobody was there to hear how it ended.
 */
export type RequestOutcome = 'served' | 'estimated' | 'refused' | 'unanswered' | 'lost'

export interface RequestEnd {
  readonly cost: Microcredits
  readonly costPicoUsd: bigint
  readonly usage: Usage
  readonly outcome: Exclude<RequestOutcome, 'lost'>
  /** The provider's HTTP status. */
  readonly status: number | null
  readonly ttfbMs: number | null
  readonly durationMs: number
}

export interface ModelRequest extends Omit<NewRequest, 'id'> {
  readonly id: string
  readonly state: 'sent' | 'done' | 'lost'
  /** Null as long as it is `sent`. */
  readonly cost: Microcredits | null
  readonly costPicoUsd: bigint
  /** How far the cost went above the maximum: our count of the input was too low. */
  readonly overrun: Microcredits
  readonly usage: Usage
  readonly outcome: RequestOutcome | null
  readonly status: number | null
  readonly ttfbMs: number | null
  readonly durationMs: number | null
  readonly createdAt: Date
}

/** `short` says how much of the hold is not committed yet. */
export type OpenResult =
  | { readonly kind: 'open' }
  | { readonly kind: 'resolved' }
  | { readonly kind: 'short'; readonly room: Microcredits }

export type CloseResult =
  { readonly kind: 'closed'; readonly overrun: Microcredits } | { readonly kind: 'already' }

/** What a job's model requests came to. */
export interface Spent {
  readonly cost: Microcredits
  readonly usage: UsageTotals
  readonly requests: readonly ModelRequest[]
}
