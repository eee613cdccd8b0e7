import type { Transitions } from '#kernel/transitions.ts'

/** The agent of a project, over all its processes. */
export type AgentState = 'stopped' | 'starting' | 'ready' | 'draining' | 'broken'

/**
 *   stopped    no process; the next job starts one
 *   starting   waits for its slot, or Kilo starts
 *   ready      Kilo accepts prompts, or carries one out
 *   draining   is being stopped
 *   broken     failed too often: no start is tried before its time
 *
 * A project that is used again while its agent is draining is `starting`: its next process waits for the end of the last.
 * So is one whose process has just exited and is still being cleared.
 */
export const AGENT_STATES: Transitions<AgentState> = {
  stopped: ['starting', 'broken'],
  starting: ['ready', 'draining', 'stopped', 'broken'],
  ready: ['draining', 'stopped', 'broken', 'starting'],
  draining: ['stopped', 'starting', 'broken'],
  broken: ['starting', 'stopped']
}
