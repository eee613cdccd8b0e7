import assert from 'node:assert/strict'

/** A state machine as a table: each state with the states that may follow it. */
export type Transitions<State extends string> = { readonly [S in State]: readonly State[] }

/** The next state, or an assertion failure when the table does not allow the step. */
export function follow<State extends string>(
  table: Transitions<State>,
  from: State,
  to: State
): State {
  assert.ok(table[from].includes(to), `${from} may not become ${to}`)
  return to
}

/** Whether the table allows no step from this state. */
export const isTerminal = <State extends string>(table: Transitions<State>, state: State) =>
  table[state].length === 0
