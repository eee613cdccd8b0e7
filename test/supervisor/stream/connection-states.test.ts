import { follow, isTerminal } from '#kernel/transitions.ts'
import t from 'tap'
import {
  CONNECTION_STATES,
  type ConnectionState
} from '../../../supervisor/stream/connection-states.ts'

const STATES = Object.keys(CONNECTION_STATES) as ConnectionState[]
const walk = (...states: ConnectionState[]) =>
  states.reduce((from, to) => follow(CONNECTION_STATES, from, to))

t.test('allows the life of a connection', async (t) => {
  t.equal(walk('connecting', 'settling', 'live'), 'live', 'the first connection')
  t.equal(walk('live', 'gap', 'catching-up', 'live'), 'live', 'a loss in a connection that stands')
  t.equal(
    walk('live', 'gap', 'connecting', 'gap', 'connecting', 'settling', 'catching-up', 'live'),
    'live',
    'a reconnect whose first attempt fails'
  )
  t.equal(walk('catching-up', 'gap', 'connecting'), 'connecting', 'a catch-up that fails')
})

t.test('delivers nothing new before the missed events are read', async (t) => {
  t.throws(() => walk('gap', 'live'))
  t.throws(() => walk('gap', 'settling'))
  t.throws(() => walk('connecting', 'live'))
})

t.test('reaches dead from every state and never leaves it', async (t) => {
  t.ok(isTerminal(CONNECTION_STATES, 'dead'))
  for (const state of STATES.filter((state) => state !== 'dead')) {
    t.equal(follow(CONNECTION_STATES, state, 'dead'), 'dead', state)
  }
})
