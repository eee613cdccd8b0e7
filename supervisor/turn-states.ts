import type { Transitions } from '#kernel/transitions.ts'

export type TurnState = 'running' | 'cancelling' | 'killing' | 'over'

/**
 * A turn ends once. Who cancels it is told that it was interrupted, also when it had stalled just before; one that is
 * being cancelled does not stall any more.
 */
export const TURN_STATES: Transitions<TurnState> = {
  running: ['cancelling', 'killing', 'over'],
  killing: ['cancelling', 'over'],
  cancelling: ['over'],
  over: []
}
