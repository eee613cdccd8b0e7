import { AgentFailure } from '../agent-failure.ts'
import { statusOf } from '../kilo/client.ts'
import type { TurnEnding } from './ending.ts'
import type { AgentTurn, TurnHost } from './host.ts'
import { decideOpening, type KiloAnswer } from './opening-policy.ts'

/** The beginning of a turn, from its prompt to the event that says that it has begun. */
export interface TurnOpening extends Disposable {
  /** Sends the prompt. A prompt that Kilo refuses, or that begins no turn, ends the turn. */
  sendPrompt(): void
  /** When the prompt was sent, or is going to be. */
  promptedAtMs(): number
  hasBegun(): boolean
  /** Kilo reported that the turn has begun. */
  begun(): void
}

export interface TurnOpeningOptions {
  readonly host: Pick<TurnHost, 'client' | 'clock' | 'times' | 'redact' | 'endedWithin'>
  readonly turn: AgentTurn
  readonly ending: Pick<TurnEnding, 'isOver' | 'fail' | 'stall' | 'cancelAgain'>
  /** Reads the missed events of the turn; its beginning may be one of them. */
  readonly catchUp: () => Promise<void>
  /** The last error that Kilo reported in this session. */
  readonly lastError: () => string | undefined
}

export function createTurnOpening(options: TurnOpeningOptions): TurnOpening {
  const { host, turn, ending } = options
  const { client, clock, times } = host
  const { agentSessionId: sessionId, mode, text, currentFilePath: activeFile } = turn
  const waiting = new AbortController()
  let promptedAtMs = clock.now().getTime()
  let hasBegun = false

  const sendPrompt = async () => {
    promptedAtMs = clock.now().getTime()
    await client.prompt({ sessionId, mode, ...modelOf(turn), text, activeFile })
    ending.cancelAgain()
  }

  const askKilo = async (): Promise<KiloAnswer> => {
    try {
      await client.version()
      // A failure here is decided by the session's status below.
      await options.catchUp().catch(() => {})
      if (hasBegun) return 'busy'
      return (await client.statuses()).has(sessionId) ? 'busy' : 'idle'
    } catch {
      return 'none'
    }
  }

  const expectBegin = async () => {
    const sinceMs = clock.monotonicMs()
    while (!waiting.signal.aborted && !ending.isOver()) {
      await clock.sleep(times.turnOpenMs, waiting.signal).catch(() => {})
      if (waiting.signal.aborted) return
      const answer = await askKilo()
      if (hasBegun) return

      const error = options.lastError()
      const waitedMs = clock.monotonicMs() - sinceMs
      const facts = { waitedMs, answer, hasError: error !== undefined }
      if (decideOpening(facts, times.turnOpenMaxMs) === 'wait') continue
      return ending.stall(
        answer === 'none'
          ? 'Kilo accepted the prompt and does not respond any more.'
          : `Kilo accepted the prompt and started no turn${error ? `: ${error}` : '.'}`
      )
    }
  }

  const promptFailed = async (error: Error) => {
    // A process that has just died refuses requests first; its exit is the better explanation.
    await host.endedWithin()
    const detail = host.redact(error.message)
    if (statusOf(error) !== undefined) {
      return ending.fail(new AgentFailure('unavailable', `Kilo refused the prompt: ${detail}`))
    }
    return ending.stall(`Kilo did not accept the prompt: ${detail}`)
  }

  return {
    sendPrompt: () => void sendPrompt().then(expectBegin, promptFailed),
    promptedAtMs: () => promptedAtMs,
    hasBegun: () => hasBegun,
    begun() {
      hasBegun = true
      waiting.abort()
      ending.cancelAgain()
    },
    [Symbol.dispose]: () => waiting.abort()
  }
}

/** A model's name may contain slashes, a provider's does not. */
export function modelOf({ model }: Pick<AgentTurn, 'model'>) {
  const slash = model.indexOf('/')
  return { providerId: model.slice(0, slash), modelId: model.slice(slash + 1) }
}
