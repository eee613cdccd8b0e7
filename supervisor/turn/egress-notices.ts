import type { AgentEvent } from '#kernel/agent-events.ts'
import type { TurnHost } from './host.ts'

/** An agent can request any number of hosts. */
const HOSTS_MAX = 20

/** Emits a notice for each host that the turn's agent may not reach, once. */
export function reportRefusedHosts(
  { onEgressRefused }: Pick<TurnHost, 'onEgressRefused'>,
  emit: (event: AgentEvent) => void
): () => void {
  const reported = new Set<string>()
  return onEgressRefused(({ host, text }) => {
    if (reported.has(host) || reported.size >= HOSTS_MAX) return
    reported.add(host)
    emit({ type: 'notice', text })
  })
}
