import type { Clock } from '#kernel/clock.ts'
import { unlessAborted } from '#kernel/waiting.ts'
import type { Agent, RunningKilo } from '../agent/agent.ts'
import { AgentFailure } from '../agent-failure.ts'
import { decideCheck } from './idle-policy.ts'
import { idleFactsOf, type Slot } from './slots.ts'

/** Disposing it returns the agent. */
export interface BorrowedAgent extends Disposable {
  /** Rejects with AgentFailure('unavailable') when it cannot be started, or with the signal's reason. */
  readonly agent: Promise<Agent>
}

export interface LendingOptions {
  readonly clock: Pick<Clock, 'now' | 'monotonicMs'>
  readonly probeAfterMs: number
  /** The project's slot, or a new one. Throws when no agent may be started. */
  readonly slotFor: () => Slot
  readonly signal: AbortSignal
  /** Called when the borrower has returned the agent. */
  readonly onReturned?: (slot: Slot) => void
}

/**
 * Lends the agent of a slot. One that has been idle is asked first whether it responds: an agent that hangs between two
 * turns is replaced by a new one, and the borrower does not notice it.
 */
export function lend(options: LendingOptions): BorrowedAgent {
  const { clock, slotFor, signal } = options
  let taken: Taken | undefined
  let isReturned = false

  const giveBack = () => {
    if (!taken) return
    taken.slot.borrowers -= 1
    use(taken.slot, clock)
    const { slot } = taken
    taken = undefined
    options.onReturned?.(slot)
  }

  const usable = async (): Promise<RunningKilo> => {
    for (;;) {
      taken = take(slotFor(), options)
      const { slot, mustCheck } = taken
      const kilo = await slot.starting
      if (!mustCheck || (await kilo.check())) {
        slot.isChecked = true
        return kilo
      }
      // Its successor would wait for it in any case.
      await kilo.exited
      giveBack()
      signal.throwIfAborted()
      if (isReturned) throw new AgentFailure('stopped', 'The agent was returned.')
    }
  }

  // Other borrowers may await the same start, so an aborted signal does not stop it.
  const agent = unlessAborted(usable(), signal)
  agent.catch(() => {})
  return {
    agent,
    [Symbol.dispose]() {
      isReturned = true
      giveBack()
    }
  }
}

interface Taken {
  readonly slot: Slot
  readonly mustCheck: boolean
}

function take(slot: Slot, { clock, probeAfterMs }: LendingOptions): Taken {
  const isIdle = decideCheck(idleFactsOf(slot, clock.monotonicMs()), probeAfterMs) === 'check'
  if (slot.kilo && isIdle) slot.isChecked = false
  slot.borrowers += 1
  use(slot, clock)
  return { slot, mustCheck: !slot.isChecked }
}

function use(slot: Slot, clock: LendingOptions['clock']): void {
  slot.lastUsedAt = clock.now()
  slot.lastUsedMs = clock.monotonicMs()
}
