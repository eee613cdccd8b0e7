export interface IdleFacts {
  readonly now: Date
  readonly lastUsedAt: Date
  readonly busy: boolean
}

/** An agent is stopped when nobody has used it for a while, and never in the middle of a turn. */
export function decideIdle(facts: IdleFacts, idleStopMs: number): 'keep' | 'stop' {
  if (facts.busy) return 'keep'
  return facts.now.getTime() - facts.lastUsedAt.getTime() >= idleStopMs ? 'stop' : 'keep'
}

/** Somebody was just given this agent and has not prompted it yet: not the one to make room with. */
const HANDED_OUT_MS = 10_000

interface RoomFacts extends IdleFacts {
  /** Since when somebody holds it without a turn; undefined once a turn has ended. */
  readonly handedOutAt: Date | undefined
}

/** The agent that makes room for another: the one that has been idle for longest, if there is one. */
export function chooseToStop<A extends RoomFacts>(agents: readonly A[]): A | undefined {
  return agents
    .filter(({ now, busy, handedOutAt }) => {
      const held = handedOutAt && now.getTime() - handedOutAt.getTime() < HANDED_OUT_MS
      return !busy && !held
    })
    .sort((a, b) => a.lastUsedAt.getTime() - b.lastUsedAt.getTime())
    .at(0)
}
