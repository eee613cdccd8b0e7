import type { Usage } from '#kernel/agent-events.ts'
import type { UsageTotals } from '#kernel/frames.ts'
import type { ProjectId, RequestId } from '#kernel/ids.ts'
import type { Microcredits } from '#kernel/money.ts'

/** A model request before it is sent, with its maximum cost. */
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
  /** The cost that is charged if the request is lost: its known input. */
  readonly floorCost: Microcredits
}

/**
 * `served`: answered, with the provider's own count. `estimated`: answered, without a complete count of the provider.
 * `refused`: an HTTP error. `unanswered`: no answer began. `lost`: this process died before the request ended.
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
  /** Null while it is `sent`. */
  readonly cost: Microcredits | null
  readonly costPicoUsd: bigint
  /** The amount by which the cost exceeded the maximum: the input was underestimated. */
  readonly overrun: Microcredits
  readonly usage: Usage
  readonly outcome: RequestOutcome | null
  readonly status: number | null
  readonly ttfbMs: number | null
  readonly durationMs: number | null
  readonly createdAt: Date
}

/** `short`: only `available` of the hold is not committed yet. */
export type OpenResult =
  | { readonly kind: 'open' }
  | { readonly kind: 'resolved' }
  | { readonly kind: 'short'; readonly available: Microcredits }

export type CloseResult =
  { readonly kind: 'closed'; readonly overrun: Microcredits } | { readonly kind: 'already' }

/** The sum of a job's model requests. */
export interface Spent {
  readonly cost: Microcredits
  readonly usage: UsageTotals
  readonly requests: readonly ModelRequest[]
}
