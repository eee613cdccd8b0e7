import type { TurnOutcome } from '#kernel/agent-events.ts'
import { cutText } from './truncate.ts'
import type { KiloError, MessageInfo } from './schemas.ts'
import type { Redact } from '../redact.ts'

const MESSAGE_BYTES_MAX = 500

/** How a model's answer may end for the turn to have been carried out. */
const GOOD_FINISHES: ReadonlySet<string> = new Set([
  'stop',
  'length',
  'tool-calls',
  'other',
  'unknown'
])

/** What Kilo and its libraries say when a provider cannot be reached, or keeps quiet. */
const UNREACHABLE =
  /connect|network|socket|reset by|timed? ?out|ECONN|ENOTFOUND|EAI_AGAIN|EPIPE|EHOST|ENET|fetch failed|dns|getaddrinfo|certificate/i

export interface TurnFacts {
  /** Kilo's word for how the root session's turn closed. */
  readonly reason: string
  readonly lastAnswer: MessageInfo | undefined
  readonly lastError: KiloError | undefined
  /** Kilo waited for the provider, and we said that it is of no use. */
  readonly networkGivenUp: boolean
}

/** How a turn ended, in our words. */
export function outcomeOf(facts: TurnFacts, redact: Redact): TurnOutcome {
  const { reason, lastAnswer } = facts
  if (reason === 'interrupted' || reason === 'superseded') return { kind: 'interrupted' }

  const error = lastAnswer?.error ?? (reason === 'completed' ? undefined : facts.lastError)
  if (error) return failureOf(error, facts.networkGivenUp, redact)
  if (reason !== 'completed') return modelError('The agent stopped without saying why.')
  if (!lastAnswer) return modelError('The model gave no answer.')

  const finish = lastAnswer.finish ?? 'no reason'
  if (GOOD_FINISHES.has(finish)) return { kind: 'completed' }
  return modelError(`The model ended its answer with “${redact(finish)}”.`)
}

function failureOf(error: KiloError, networkGivenUp: boolean, redact: Redact): TurnOutcome {
  const status = error.data?.statusCode
  const said = error.data?.message ?? error.name
  const message = cutText(redact(sentenceIn(said)), MESSAGE_BYTES_MAX)

  if (status !== undefined) {
    const reason = status === 429 ? 'model_rate_limited' : 'model_error'
    return { kind: 'failed', reason, message, status }
  }
  const code = error.data?.metadata?.code ?? ''
  const isApi = error.name === 'APIError'
  if (networkGivenUp || (isApi && (UNREACHABLE.test(said) || UNREACHABLE.test(code)))) {
    return { kind: 'failed', reason: 'model_unreachable', message }
  }
  return modelError(message)
}

const modelError = (message: string): TurnOutcome => ({
  kind: 'failed',
  reason: 'model_error',
  message
})

/** What a person wants to read of it: Kilo appends its own stack to some errors, and passes others on as the provider's JSON. */
function sentenceIn(said: string): string {
  if (!said.startsWith('{')) return said.split(/\n\s+at /)[0] ?? said
  try {
    const { message } = JSON.parse(said) as { message?: unknown }
    return typeof message === 'string' && message !== '' ? message : said
  } catch {
    return said
  }
}
