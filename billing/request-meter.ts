import type { Db } from '#db'
import { addUsage, NO_USAGE } from '#kernel/agent-events.ts'
import type {
  CloseResult,
  ModelRequest,
  NewRequest,
  OpenResult,
  RequestEnd,
  Spent
} from './model-request.ts'
import { picoUsdToUsd } from './prices/pricing.ts'
import {
  insertRequest,
  readRequests,
  updateLostRequests,
  updateRequestEnd
} from './request-store.ts'

export interface RequestMeter {
  /** Commits the maximum cost of a request, if the uncommitted part of its hold covers it. */
  open(db: Db, request: NewRequest): Promise<OpenResult>
  /** Replaces it by the actual cost. Idempotent: a closed or lost request stays as it is. */
  close(db: Db, id: string, end: RequestEnd): Promise<CloseResult>
  /** Marks open requests as lost, at their floor cost, and sums up all. Call it before the hold's resolution. */
  settle(db: Db, holdId: string): Promise<Spent>
  /** Oldest first. */
  requestsOf(db: Db, holdId: string): Promise<ModelRequest[]>
}

/** Invariant: the committed and actual costs of a hold's requests never exceed it, also with concurrent requests. */
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
