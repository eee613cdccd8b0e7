import type { AgentFailure } from '../agent-failure.ts'
import type { KiloPayload } from '../kilo/schemas.ts'
import type { Listener } from '../turn/host.ts'

/** The listeners of one Kilo. A listener that is added late receives the present state first. */
export interface AgentListeners extends Listener {
  add(listener: Listener): () => void
  /** Why Kilo is not usable any more; the first reason counts. */
  setFailure(failure: AgentFailure): void
  /** Undefined as long as Kilo is usable. */
  failure(): AgentFailure | undefined
}

export function createAgentListeners(): AgentListeners {
  const listeners = new Set<Listener>()
  let hasGap = false
  let failure: AgentFailure | undefined

  return {
    add(listener) {
      listeners.add(listener)
      if (hasGap) listener.gapOpened()
      if (failure) listener.exited(failure)
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
    setFailure(reason) {
      failure ??= reason
    },
    failure: () => failure,
    exited(reason) {
      const first = (failure ??= reason)
      listeners.forEach((listener) => listener.exited(first))
    }
  }
}
