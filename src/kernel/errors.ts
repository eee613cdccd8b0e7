interface Meaning {
  readonly status: number
  readonly title: string
  /** Whether the same request may succeed later, unchanged. */
  readonly retryable: boolean
}

/** Every way the product refuses a request, and what each means to the one who asked. */
export const REFUSALS = {
  invalid_request: { status: 400, title: 'The request is not valid', retryable: false },
  path_not_allowed: { status: 400, title: 'This path is not allowed', retryable: false },
  unauthenticated: { status: 401, title: 'Who is asking?', retryable: false },
  insufficient_credits: { status: 402, title: 'Not enough credits', retryable: false },
  forbidden: { status: 403, title: 'Not allowed', retryable: false },
  not_found: { status: 404, title: 'Not found', retryable: false },
  method_not_allowed: { status: 405, title: 'Method not allowed', retryable: false },
  job_not_mergeable: { status: 409, title: 'This job has nothing to review', retryable: false },
  merge_conflict: { status: 409, title: 'The work conflicts with main', retryable: false },
  job_not_retryable: { status: 409, title: 'This job cannot be retried', retryable: false },
  idempotency_in_flight: { status: 409, title: 'The first request is running', retryable: true },
  file_changed: { status: 412, title: 'The file has changed', retryable: false },
  payload_too_large: { status: 413, title: 'Too large', retryable: false },
  idempotency_key_reused: { status: 422, title: 'Idempotency key reused', retryable: false },
  unknown_mode: { status: 422, title: 'Unknown mode', retryable: false },
  unknown_model: { status: 422, title: 'Unknown model', retryable: false },
  queue_full: { status: 429, title: 'The queue of this project is full', retryable: true },
  rate_limited: { status: 429, title: 'Too many requests', retryable: true },
  internal: { status: 500, title: 'Something broke on our side', retryable: true },
  agent_unavailable: { status: 503, title: 'The agent is not available', retryable: true },
  database_unavailable: { status: 503, title: 'The database is not available', retryable: true },
  shutting_down: { status: 503, title: 'The server is stopping', retryable: true }
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
