/** What Kilo answered when it was asked about a turn: nothing, that its session is idle, or that it is busy. */
export type KiloAnswer = 'none' | 'idle' | 'busy'

export interface OpeningFacts {
  /** Since Kilo accepted the prompt. */
  readonly waitedMs: number
  readonly answer: KiloAnswer
  /** Kilo reported an error of this session. */
  readonly hasError: boolean
}

/**
 * Whether a turn that has not begun yet is awaited any longer. A Kilo that responds may be slow on a busy machine; one
 * that does not respond has stalled.
 */
export function decideOpening(facts: OpeningFacts, turnOpenMaxMs: number): 'wait' | 'stall' {
  switch (facts.answer) {
    case 'none':
      return 'stall'
    case 'busy':
      return 'wait'
    case 'idle':
      return facts.hasError || facts.waitedMs >= turnOpenMaxMs ? 'stall' : 'wait'
  }
}
