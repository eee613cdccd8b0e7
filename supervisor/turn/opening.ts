import { statusOf } from '../kilo/client.ts'
import type { TurnEnding } from './ending.ts'
import type { AgentTurn, TurnHost } from './host.ts'
import { AgentFailure } from '../agent-failure.ts'

/** The way from a prompt to a turn that has begun. */
export interface TurnOpening extends Disposable {
  /** Sends the prompt. What Kilo makes of it, it says in its events; that it makes nothing of it ends the turn. */
  sendPrompt(): void
  /** When the prompt was sent, or is going to be. */
  promptedAtMs(): number
  hasBegun(): boolean
  /** Kilo said so. */
  begun(): void
}

export interface TurnOpeningOptions {
  readonly host: TurnHost
  readonly wanted: AgentTurn
  readonly ending: TurnEnding
  /** Reads what may not have been heard. */
  readonly lookAgain: () => Promise<void>
  /** The last thing that Kilo complained about. */
  readonly complaint: () => string | undefined
}

/** A prompt is taken and begins a turn in time, or the turn is over. */
export function createTurnOpening(options: TurnOpeningOptions): TurnOpening {
  const { host, wanted, ending } = options
  let promptedAtMs = host.now().getTime()
  let hasBegun = false
  let timer: NodeJS.Timeout | undefined

  const prompt = async () => {
    promptedAtMs = host.now().getTime()
    const { agentSessionId: sessionId, mode, text, currentFilePath: activeFile } = wanted
    await host.client.prompt({ sessionId, mode, ...modelOf(wanted), text, activeFile })
    ending.cancelAgain()
    if (ending.isOver() || hasBegun) return
    timer = setTimeout(() => void expectBegun(), host.times.turnOpenMs)
  }

  const expectBegun = async () => {
    // It may have begun unheard.
    await options.lookAgain().catch(() => {})
    if (hasBegun) return
    const why = options.complaint()
    await ending.stall(`Kilo took the prompt and began nothing${why ? `: ${why}` : '.'}`)
  }

  const promptRefused = async (error: Error) => {
    await host.endedWithin()
    const words = host.redact(error.message)
    if (statusOf(error) === undefined) return ending.stall(`Kilo did not take the prompt: ${words}`)
    ending.fail(new AgentFailure('unavailable', `Kilo refused the prompt: ${words}`))
  }

  return {
    sendPrompt: () => void prompt().catch(promptRefused),
    promptedAtMs: () => promptedAtMs,
    hasBegun: () => hasBegun,
    begun() {
      hasBegun = true
      clearTimeout(timer)
      ending.cancelAgain()
    },
    [Symbol.dispose]: () => clearTimeout(timer)
  }
}

/** Models may have slashes in their names, providers do not. */
export function modelOf({ model }: AgentTurn) {
  const slash = model.indexOf('/')
  return { providerId: model.slice(0, slash), modelId: model.slice(slash + 1) }
}
