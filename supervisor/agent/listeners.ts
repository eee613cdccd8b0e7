import type { KiloPayload } from '../kilo/schemas.ts'
import type { Listener } from '../turn/host.ts'
import type { AgentFailure } from '../agent-failure.ts'

/** Everybody who listens to one Kilo. Who comes late is told first how things stand. */
export interface AgentListeners extends Omit<Listener, 'gone'> {
  add(listener: Listener): () => void
  /** Why Kilo is of no use any more; the first reason that is known counts, whenever it is told. */
  setEndReason(failure: AgentFailure): void
  /** Undefined as long as it is of use. */
  ending(): AgentFailure | undefined
  /** Kilo is gone: for the reason that is known, or for this one. */
  gone(failure: AgentFailure): void
}

export function createAgentListeners(): AgentListeners {
  const listeners = new Set<Listener>()
  let hasGap = false
  let ending: AgentFailure | undefined

  return {
    add(listener) {
      listeners.add(listener)
      if (hasGap) listener.gapOpened()
      if (ending) listener.gone(ending)
      return () => void listeners.delete(listener)
    },
    frame: (payload: KiloPayload) => listeners.forEach((listener) => listener.frame(payload)),
    gapOpened() {
      hasGap = true
      listeners.forEach((listener) => listener.gapOpened())
    },
    async catchUp() {
      await Promise.all([...listeners].map((listener) => listener.catchUp()))
      hasGap = false
    },
    setEndReason(failure) {
      ending ??= failure
    },
    ending: () => ending,
    gone(failure) {
      const reason = (ending ??= failure)
      listeners.forEach((listener) => listener.gone(reason))
    }
  }
}
