/** What a turn has done since its last event. */
export interface ProgressFacts {
  readonly silentMs: number
  readonly toolsRunning: number
  /** Permissions and questions that wait for an answer. */
  readonly promptsOpen: number
}

/**
 * Whether a turn that Kilo calls busy is awaited any longer. Tools and people may take as long as the job may; a model
 * whose answer breaks off is ended by the gateway long before this bound, so a Kilo without events hangs.
 */
export function decideProgress(facts: ProgressFacts, progressMs: number): 'wait' | 'stall' {
  if (facts.toolsRunning > 0 || facts.promptsOpen > 0) return 'wait'
  return facts.silentMs >= progressMs ? 'stall' : 'wait'
}

/** Counts the tools that run, by the events of a turn. */
export function createToolCount() {
  const running = new Set<string>()
  return {
    count: () => running.size,
    update({ callId, status }: { readonly callId: string; readonly status: string }) {
      if (status === 'running') running.add(callId)
      else running.delete(callId)
    }
  }
}
