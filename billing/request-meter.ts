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
