import type { Transitions } from '#kernel/transitions.ts'

export type ProcessState = 'starting' | 'ready' | 'draining' | 'exited'

/** A `kilo serve` process is born once and dies once; a restart is a new process. */
export const PROCESS_STATES: Transitions<ProcessState> = {
  starting: ['ready', 'draining', 'exited'],
  ready: ['draining', 'exited'],
  draining: ['exited'],
  exited: []
}
