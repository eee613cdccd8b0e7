export interface IdleFacts {
  /** By the monotonic clock, as `lastUsedMs`. */
  readonly nowMs: number
  readonly lastUsedMs: number
  /** It is starting, borrowed, or carries out a turn. */
  readonly busy: boolean
}

/** An agent that is not busy is stopped when it was not used for `idleStopMs`. */
export function decideIdle(facts: IdleFacts, idleStopMs: number): 'keep' | 'stop' {
  if (facts.busy) return 'keep'
  return facts.nowMs - facts.lastUsedMs >= idleStopMs ? 'stop' : 'keep'
}

/** The agent that is stopped when a full pool needs a slot: the one that has been idle longest, if any is idle. */
export function chooseToStop<A extends IdleFacts>(agents: readonly A[]): A | undefined {
  return agents
    .filter(({ busy }) => !busy)
    .sort((a, b) => a.lastUsedMs - b.lastUsedMs)
    .at(0)
}

/** An agent that was idle is asked whether it responds before it is used: the event stream notices a silent one later. */
export function decideCheck(facts: IdleFacts, probeAfterMs: number): 'use' | 'check' {
  return decideIdle(facts, probeAfterMs) === 'stop' ? 'check' : 'use'
}
