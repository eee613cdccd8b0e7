/** The primary agents of Kilo 7.7.7: what we offer until a running Kilo has listed its own. */
export const KNOWN_MODES: readonly string[] = ['code', 'plan', 'ask', 'debug', 'orchestrator']

interface KiloAgent {
  readonly name: string
  readonly mode: string
  readonly hidden?: boolean | undefined
}

/** The agents that a person can choose: ours in our order, then whatever else this Kilo has. */
export function modesOf(agents: readonly KiloAgent[]): readonly string[] {
  const offered = agents
    .filter((agent) => agent.mode !== 'subagent' && !agent.hidden)
    .map((agent) => agent.name)
  const known = KNOWN_MODES.filter((mode) => offered.includes(mode))
  return [...known, ...offered.filter((mode) => !known.includes(mode))]
}
