import type { TurnOutcome } from '#kernel/agent-events.ts'
import { cutText } from './truncate.ts'
import type { KiloError, MessageInfo } from './schemas.ts'
import type { Redact } from '../redact.ts'

const MESSAGE_BYTES_MAX = 500

/** The finish reasons of a model's answer with which a turn counts as completed. */
const GOOD_FINISHES: ReadonlySet<string> = new Set([
  'stop',
  'length',
  'tool-calls',
  'other',
  'unknown'
])

/** The errors of Kilo and its libraries when a provider is unreachable or silent. */
const UNREACHABLE =
  /connect|network|socket|reset by|timed? ?out|ECONN|ENOTFOUND|EAI_AGAIN|EPIPE|EHOST|ENET|fetch failed|dns|getaddrinfo|certificate/i

/** How the gateway begins what it says of an answer: whatever the provider wrote in it, it was reached. */
const ANSWERED = /^The model provider /

/** What the AI SDK says, with a dump of the data, of an answer that it cannot read. */
const UNREADABLE =
  /^(JSON parsing failed|Type validation failed|Invalid JSON response|Expected ['"\w]+ )/

export interface TurnFacts {
  /** Kilo's reason for the close of the root session's turn. */
  readonly reason: string
  readonly lastAnswer: MessageInfo | undefined
  readonly lastError: KiloError | undefined
  /** Kilo waited for the provider, and we rejected the wait. */
  readonly networkRejected: boolean
}

/** Translates how a turn ended. */
export function outcomeOf(facts: TurnFacts, redact: Redact): TurnOutcome {
  const { reason, lastAnswer } = facts
  if (reason === 'interrupted' || reason === 'superseded') return { kind: 'interrupted' }

  const error = lastAnswer?.error ?? (reason === 'completed' ? undefined : facts.lastError)
  if (error) return failureOf(error, facts.networkRejected, redact)
  if (reason !== 'completed') return modelError('The agent stopped without a reason.')
  if (!lastAnswer) return modelError('The model gave no answer.')

  const finish = lastAnswer.finish ?? 'no reason'
  if (GOOD_FINISHES.has(finish)) return { kind: 'completed' }
  return modelError(`The model ended its answer with “${redact(finish)}”.`)
}

function failureOf(error: KiloError, networkRejected: boolean, redact: Redact): TurnOutcome {
  const status = error.data?.statusCode
  const detail = error.data?.message ?? error.name
  const message = cutText(redact(messageIn(detail)), MESSAGE_BYTES_MAX)

  if (status !== undefined) {
    const reason = status === 429 ? 'model_rate_limited' : 'model_error'
    return { kind: 'failed', reason, message, status }
  }
  const code = error.data?.metadata?.code ?? ''
  const isApi = error.name === 'APIError'
  const isReached = ANSWERED.test(detail)
  if (
    networkRejected ||
    (isApi && !isReached && (UNREACHABLE.test(detail) || UNREACHABLE.test(code)))
  ) {
    return { kind: 'failed', reason: 'model_unreachable', message }
  }
  return modelError(message)
}

const modelError = (message: string): TurnOutcome => ({
  kind: 'failed',
  reason: 'model_error',
  message
})

/** The message without its wrapping: Kilo appends its own stack to some errors, and passes others on as the provider's JSON. */
function messageIn(detail: string): string {
  if (UNREADABLE.test(detail)) return 'The model provider sent data that is not an answer.'
  if (!detail.startsWith('{')) return detail.split(/\n\s+at /)[0] ?? detail
  try {
    const { message } = JSON.parse(detail) as { message?: unknown }
    return typeof message === 'string' && message !== '' ? message : detail
  } catch {
    return detail
  }
}
