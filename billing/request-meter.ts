import type { Db } from '#db'
import { addUsage, NO_USAGE, type Usage } from '#kernel/agent-events.ts'
import type { UsageTotals } from '#kernel/frames.ts'
import type { ProjectId, RequestId } from '#kernel/ids.ts'
import type { Microcredits } from '#kernel/money.ts'
import { picoUsdToUsd } from './pricing.ts'
import {
  insertRequest,
  readRequests,
  updateLostRequests,
  updateRequestEnd
} from './request-store.ts'

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

export interface RequestMeter {
  /** Commits the most that a request can cost, if it fits into what is left of its hold. */
  open(db: Db, request: NewRequest): Promise<OpenResult>
  /** Replaces that by what it did cost. Once: a request that was closed or lost stays as it is. */
  close(db: Db, id: string, end: RequestEnd): Promise<CloseResult>
  /** Declares lost what is still open, at its floor, and adds everything up. Belongs before the hold's resolution. */
  settle(db: Db, holdId: string): Promise<Spent>
  /** Oldest first. */
  requestsOf(db: Db, holdId: string): Promise<ModelRequest[]>
}

/** However many requests come at once, those under way and those done never exceed the hold together. */
export function createRequestMeter(): RequestMeter {
  return {
    open: insertRequest,
    close: updateRequestEnd,
    requestsOf: readRequests,

    async settle(db, holdId) {
      const cost = await updateLostRequests(db, holdId)
      const requests = await readRequests(db, holdId)
      const picoUsd = requests.reduce((sum, request) => sum + request.costPicoUsd, 0n)
      const usage = requests.reduce((sum, request) => addUsage(sum, request.usage), NO_USAGE)
      return { cost, usage: { ...usage, costUsd: picoUsdToUsd(picoUsd) }, requests }
    }
  }
}
