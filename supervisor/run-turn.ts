import type { AgentEvent } from '#kernel/agent-events.ts'
import { INTERRUPTED } from './turn-ending.ts'
import type { AgentTurn, TurnHost } from './turn-host.ts'
import { openTurn, type Turn } from './turn.ts'

/**
 * One prompt and everything that comes of it, ending with exactly one `turn.finished`, or with a JobFailure when the
 * agent itself failed. When the signal aborts, or nobody reads on, the agent is asked to stop, and killed if it does not.
 */
export async function* runTurn(
  host: TurnHost,
  wanted: AgentTurn,
  signal: AbortSignal
): AsyncGenerator<AgentEvent> {
  if (signal.aborted) {
    yield INTERRUPTED
    return
  }

  // Listen before speaking: the first event may follow the prompt by a millisecond.
  await using turn = openTurn(host, wanted)
  using _abort = cancelOn(signal, turn)
  turn.sendPrompt()
  yield* turn.events
}

function cancelOn(signal: AbortSignal, turn: Turn): Disposable {
  const cancel = () => void turn.cancel()
  signal.addEventListener('abort', cancel)
  return { [Symbol.dispose]: () => signal.removeEventListener('abort', cancel) }
}
