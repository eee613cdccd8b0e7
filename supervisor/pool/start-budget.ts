/** How many failures of its agent a project may have. Times are those of a monotonic clock. */
export type Budget =
  /** Starts are admitted. The times of the recent failures, oldest first. */
  | { readonly kind: 'closed'; readonly failedAtMs: readonly number[] }
  /** Starts are refused until then; the first one after it is a trial. */
  | { readonly kind: 'open'; readonly untilMs: number }
  /** One agent has been admitted on trial: it closes the budget again, or opens it anew. */
  | { readonly kind: 'trial' }

export interface BudgetBounds {
  readonly failuresMax: number
  readonly windowMs: number
  readonly brokenMs: number
}

export type BudgetEvent =
  /** A start that `mayStart` allowed. */
  | 'start'
  /** An agent could not be started, crashed or stalled. */
  | 'failure'
  /** An agent has carried out a turn. */
  | 'success'
  /** An agent was stopped, or could not be admitted: that says nothing about it. */
  | 'stop'
  | 'reset'

export const UNUSED_BUDGET: Budget = { kind: 'closed', failedAtMs: [] }

/** A circuit breaker: a project whose agents keep failing costs a start per `brokenMs`, and its jobs fail fast. */
export function nextBudget(
  budget: Budget,
  event: BudgetEvent,
  nowMs: number,
  bounds: BudgetBounds
): Budget {
  switch (event) {
    case 'start':
      return budget.kind === 'open' ? { kind: 'trial' } : budget
    case 'failure':
      return afterFailure(budget, nowMs, bounds)
    case 'success':
      return budget.kind === 'closed' ? budget : UNUSED_BUDGET
    case 'stop':
      return budget.kind === 'trial' ? { kind: 'open', untilMs: nowMs } : budget
    case 'reset':
      return UNUSED_BUDGET
  }
}

function afterFailure(budget: Budget, nowMs: number, bounds: BudgetBounds): Budget {
  const open: Budget = { kind: 'open', untilMs: nowMs + bounds.brokenMs }
  switch (budget.kind) {
    case 'closed': {
      const failedAtMs = [...recentFailures(budget, nowMs, bounds), nowMs]
      return failedAtMs.length >= bounds.failuresMax ? open : { kind: 'closed', failedAtMs }
    }
    case 'trial':
      return open
    case 'open':
      return budget
  }
}

/** The failures that still count, of a budget that is closed. */
export const recentFailures = (
  budget: Budget,
  nowMs: number,
  { windowMs }: Pick<BudgetBounds, 'windowMs'>
): readonly number[] =>
  budget.kind === 'closed' ? budget.failedAtMs.filter((atMs) => atMs > nowMs - windowMs) : []

/** Whether an agent may be started now. */
export function mayStart(budget: Budget, nowMs: number): boolean {
  switch (budget.kind) {
    case 'closed':
      return true
    case 'open':
      return nowMs >= budget.untilMs
    case 'trial':
      return false
  }
}
