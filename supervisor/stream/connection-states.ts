import type { Transitions } from '#kernel/transitions.ts'

export type ConnectionState = 'connecting' | 'settling' | 'live' | 'gap' | 'catching-up' | 'dead'

/** The event-stream connection to one Kilo. `event-stream.ts` describes each state. */
export const CONNECTION_STATES: Transitions<ConnectionState> = {
  connecting: ['settling', 'gap', 'dead'],
  settling: ['live', 'catching-up', 'gap', 'dead'],
  live: ['gap', 'dead'],
  gap: ['catching-up', 'connecting', 'dead'],
  'catching-up': ['live', 'gap', 'dead'],
  dead: []
}
