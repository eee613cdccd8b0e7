interface Meaning {
  readonly title: string
  /** Whether the same request may succeed later, unchanged. */
  readonly retryable: boolean
}

/** Every way the product refuses a request, and what each means to the one who asked. */
export const REFUSALS = {
  invalid_request: { title: 'The request is not valid', retryable: false },
  path_not_allowed: { title: 'This path is not allowed', retryable: false },
  unauthenticated: { title: 'Who is asking?', retryable: false },
  insufficient_credits: { title: 'Not enough credits', retryable: false },
  forbidden: { title: 'Not allowed', retryable: false },
  not_found: { title: 'Not found', retryable: false },
  method_not_allowed: { title: 'Method not allowed', retryable: false },
  job_not_mergeable: { title: 'This job has nothing to review', retryable: false },
  merge_conflict: { title: 'The work conflicts with main', retryable: false },
  job_not_retryable: { title: 'This job cannot be retried', retryable: false },
  idempotency_in_flight: { title: 'The first request is running', retryable: true },
  file_changed: { title: 'The file has changed', retryable: false },
  payload_too_large: { title: 'Too large', retryable: false },
  idempotency_key_reused: { title: 'Idempotency key reused', retryable: false },
  unknown_mode: { title: 'Unknown mode', retryable: false },
  unknown_model: { title: 'Unknown model', retryable: false },
  queue_full: { title: 'The queue of this project is full', retryable: true },
  rate_limited: { title: 'Too many requests', retryable: true },
  internal: { title: 'Something broke on our side', retryable: true },
  agent_unavailable: { title: 'The agent is not available', retryable: true },
  database_unavailable: { title: 'The database is not available', retryable: true },
  shutting_down: { title: 'The server is stopping', retryable: true }
} as const satisfies Record<string, Meaning>

export type RefusalCode = keyof typeof REFUSALS

/**
 * A refusal with its reason. `detail` is a sentence for a person; `facts` become further members of the
 * problem document, so they hold nothing secret.
 */
export class AppError extends Error {
  readonly code: RefusalCode
  readonly facts: Readonly<Record<string, unknown>>

  constructor(
    code: RefusalCode,
    detail: string,
    facts: Readonly<Record<string, unknown>> = {},
    options?: ErrorOptions
  ) {
    super(detail, options)
    this.name = 'AppError'
    this.code = code
    this.facts = facts
  }
}
