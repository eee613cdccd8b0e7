export interface IdleFacts {
  readonly now: Date
  readonly lastUsedAt: Date
  readonly busy: boolean
}

/** An agent is stopped when nobody has used it for a while, and never while somebody has it. */
export function decideIdle(facts: IdleFacts, idleStopMs: number): 'keep' | 'stop' {
  if (facts.busy) return 'keep'
  return facts.now.getTime() - facts.lastUsedAt.getTime() >= idleStopMs ? 'stop' : 'keep'
}

/** The agent that makes room for another: the one that has been idle for longest, if there is one. */
export function chooseToStop<A extends IdleFacts>(agents: readonly A[]): A | undefined {
  return agents
    .filter(({ busy }) => !busy)
    .sort((a, b) => a.lastUsedAt.getTime() - b.lastUsedAt.getTime())
    .at(0)
}
