import type { Db } from '#db'
import { addUsage, NO_USAGE, type Usage } from '#kernel/agent-events.ts'
import type { UsageTotals } from '#kernel/frames.ts'
import { greatest, least, microcredits, ZERO, type Microcredits } from '#kernel/money.ts'
import type { Ledger } from './ledger.ts'
import { picoUsdOf, picoUsdToUsd, priceOf, type Price } from './prices/pricing.ts'
import type { CloseResult, NewRequest, OpenResult, RequestEnd } from './model-request.ts'
import type { RequestMeter } from './request-meter.ts'

/** What one running job may spend on its model requests. */
export interface Purse {
  /** Opens a request; when the hold is too small for it, extends the hold from the wallet up to the job's maximum first. */
  open(request: Omit<NewRequest, 'holdId'>): Promise<OpenResult>
  /** Prices what was used, writes it down, and tells the job. */
  close(
    id: string,
    price: Price,
    end: Omit<RequestEnd, 'cost' | 'costPicoUsd'>
  ): Promise<CloseResult>
  /** What the requests that were closed came to. */
  total(): { readonly cost: Microcredits; readonly usage: UsageTotals }
}

export interface PurseOptions {
  readonly db: Db
  readonly ledger: Pick<Ledger, 'extend' | 'findHold'>
  readonly requests: RequestMeter
  readonly holdId: string
  /** The most that may ever be held for this job; null: what the wallet has. */
  readonly maxCredits: Microcredits | null
  /** The least that a hold grows by, so that a statement is not full of crumbs. */
  readonly stepCredits: Microcredits
  /** A request was closed. */
  readonly onSpent: () => void
  /** The hold has grown to this. */
  readonly onHeld: (held: Microcredits) => Promise<void>
}

/** A job never holds more than its maximum, and no request leaves that does not fit into what is held. */
export function createPurse(options: PurseOptions): Purse {
  const { db, ledger, requests, holdId, maxCredits, stepCredits } = options
  let cost = ZERO
  let picoUsd = 0n
  let usage: Usage = NO_USAGE
  // One extension at a time: two that both look at the maximum before either pays would go over it together.
  let extending: Promise<unknown> = Promise.resolve()
  let extensions = 0
  const closing = new Set<Promise<unknown>>()

  const openExtended = async (request: NewRequest): Promise<OpenResult> => {
    // An answer's end may be heard before its cost is written down.
    await Promise.allSettled(closing)
    const again = await requests.open(db, request)
    if (again.kind !== 'short') return again
    const missing = microcredits(request.maxCost - again.room)
    extensions += 1
    if (!(await extend(`${request.id}:${extensions}`, missing))) return again
    return requests.open(db, request)
  }

  /** True when the hold has grown, if only by a part of what is missing. */
  const extend = async (step: string, missing: Microcredits): Promise<boolean> => {
    const held = (await ledger.findHold(db, holdId))?.held ?? ZERO
    const allowed = maxCredits === null ? undefined : microcredits(maxCredits - held)
    const wanted = greatest(missing, stepCredits)
    let amount = allowed === undefined ? wanted : least(wanted, allowed)
    if (amount <= ZERO) return false

    let answer = await ledger.extend(db, { holdId, step, amount })
    if (answer.kind === 'short' && answer.missing < amount) {
      amount = microcredits(amount - answer.missing)
      answer = await ledger.extend(db, { holdId, step, amount })
    }
    if (answer.kind !== 'held') return false
    await options.onHeld(microcredits(held + amount))
    return true
  }

  return {
    async open(request) {
      const whole = { ...request, holdId }
      const first = await requests.open(db, whole)
      if (first.kind !== 'short') return first
      const turn = extending.then(() => openExtended(whole))
      extending = turn.catch(() => {})
      return turn
    },

    async close(id, price, end) {
      const costPicoUsd = picoUsdOf(end.usage, price)
      const priced = { ...end, cost: priceOf(end.usage, price), costPicoUsd }
      const writing = requests.close(db, id, priced)
      closing.add(writing)
      const closed = await writing.finally(() => closing.delete(writing))
      if (closed.kind === 'already') return closed
      cost = microcredits(cost + priced.cost)
      picoUsd += costPicoUsd
      usage = addUsage(usage, end.usage)
      options.onSpent()
      return closed
    },

    total: () => ({ cost, usage: { ...usage, costUsd: picoUsdToUsd(picoUsd) } })
  }
}
