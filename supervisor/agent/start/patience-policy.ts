/** What a process that is still starting has done since the previous check. */
export interface StartFacts {
  /** Since it was spawned. */
  readonly waitedMs: number
  readonly sinceCheckMs: number
  /** CPU time of the process and everything that it started. */
  readonly cpuMs: number
  readonly wroteOutput: boolean
  readonly answersHealth: boolean
}

export interface StartBounds {
  /** For a process that makes no progress. */
  readonly startMs: number
  /** For a process that makes progress. */
  readonly startMaxMs: number
}

/** Less CPU than this share of a core is an event loop that waits, even on a machine whose cores are shared by many. */
const CPU_SHARE_MIN = 0.01

/** Whether a start is awaited any longer: on a busy machine a start may be slow, and a silent process has failed. */
export function decideStart(facts: StartFacts, { startMs, startMaxMs }: StartBounds) {
  if (facts.waitedMs < startMs) return 'wait'
  if (facts.waitedMs >= startMaxMs) return 'fail'
  const computes = facts.cpuMs >= CPU_SHARE_MIN * facts.sinceCheckMs
  return computes || facts.wroteOutput || facts.answersHealth ? 'wait' : 'fail'
}
