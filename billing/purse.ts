import type { Db } from '#db'
import { addUsage, NO_USAGE, type Usage } from '#kernel/agent-events.ts'
import type { UsageTotals } from '#kernel/frames.ts'
import { greatest, least, microcredits, ZERO, type Microcredits } from '#kernel/money.ts'
import type { Ledger } from './ledger.ts'
import { picoUsdOf, picoUsdToUsd, priceOf, type Price } from './prices/pricing.ts'
import type { CloseResult, NewRequest, OpenResult, RequestEnd } from './model-request.ts'
import type { RequestMeter } from './request-meter.ts'

/** The spending limit of one running job on its model requests. */
export interface Purse {
  /** Opens a request; when the hold is too small for it, extends the hold from the wallet up to the job's maximum first. */
  open(request: Omit<NewRequest, 'holdId'>): Promise<OpenResult>
  /** Prices the usage, records it, and calls `onSpent`. */
  close(
    id: string,
    price: Price,
    end: Omit<RequestEnd, 'cost' | 'costPicoUsd'>
  ): Promise<CloseResult>
  /** The sum of the closed requests. */
  total(): { readonly cost: Microcredits; readonly usage: UsageTotals }
}

export interface PurseOptions {
  readonly db: Db
  readonly ledger: Pick<Ledger, 'extend' | 'findHold'>
  readonly requests: RequestMeter
  readonly holdId: string
  /** The maximum hold of this job; null: limited by the wallet only. */
  readonly maxCredits: Microcredits | null
  /** The minimum amount of an extension, so that a statement does not contain many tiny lines. */
  readonly stepCredits: Microcredits
  /** A request was closed. */
  readonly onSpent: () => void
  /** The hold has grown to this. */
  readonly onHeld: (held: Microcredits) => Promise<void>
}

/** Invariants: a job never holds more than its maximum, and a request is only opened when the hold covers it. */
export function createPurse(options: PurseOptions): Purse {
  const { db, ledger, requests, holdId, maxCredits, stepCredits } = options
  let cost = ZERO
  let picoUsd = 0n
  let usage: Usage = NO_USAGE
  // Extensions are serialised: two concurrent ones could each pass the check and exceed the maximum together.
  let extending: Promise<unknown> = Promise.resolve()
  let extensions = 0
  const closing = new Set<Promise<unknown>>()

  const openExtended = async (request: NewRequest): Promise<OpenResult> => {
    // The agent may see the end of an answer before its cost is committed.
    await Promise.allSettled(closing)
    const second = await requests.open(db, request)
    if (second.kind !== 'short') return second
    const missing = microcredits(request.maxCost - second.available)
    extensions += 1
    if (!(await extend(`${request.id}:${extensions}`, missing))) return second
    return requests.open(db, request)
  }

  /** True when the hold was extended, possibly by less than the missing amount. */
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
