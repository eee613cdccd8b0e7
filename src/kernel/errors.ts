interface Meaning {
  readonly title: string
  /** Whether the same request may succeed later, unchanged. */
  readonly retryable: boolean
}

/** Every code with which the product refuses a request; `src/http/problem-statuses.ts` has the HTTP statuses. */
export const REFUSALS = {
  invalid_request: { title: 'Invalid request', retryable: false },
  path_not_allowed: { title: 'Path not allowed', retryable: false },
  unauthenticated: { title: 'Authentication required', retryable: false },
  insufficient_credits: { title: 'Insufficient credits', retryable: false },
  forbidden: { title: 'Forbidden', retryable: false },
  not_found: { title: 'Not found', retryable: false },
  method_not_allowed: { title: 'Method not allowed', retryable: false },
  job_not_mergeable: { title: 'Job has no work to review', retryable: false },
  stands_on_held_work: { title: 'Work stands on work that waits for review', retryable: false },
  merge_conflict: { title: 'Merge conflict with main', retryable: false },
  path_is_directory: { title: 'Path is a folder', retryable: true },
  agent_busy: { title: 'Agent is busy', retryable: true },
  job_not_retryable: { title: 'Job cannot be retried', retryable: false },
  idempotency_in_flight: { title: 'First request still in progress', retryable: true },
  file_changed: { title: 'File has changed', retryable: false },
  request_timeout: { title: 'Request too slow', retryable: true },
  payload_too_large: { title: 'Payload too large', retryable: false },
  quota_exceeded: { title: 'Quota of the project exceeded', retryable: false },
  idempotency_key_reused: { title: 'Idempotency key reused', retryable: false },
  unknown_mode: { title: 'Unknown mode', retryable: false },
  unknown_model: { title: 'Unknown model', retryable: false },
  queue_full: { title: 'Project queue is full', retryable: true },
  rate_limited: { title: 'Too many requests', retryable: true },
  workspace_error: { title: 'Workspace failed', retryable: true },
  internal: { title: 'Internal server error', retryable: true },
  agent_unavailable: { title: 'Agent unavailable', retryable: true },
  disk_full: { title: 'Disk is full', retryable: true },
  database_unavailable: { title: 'Database unavailable', retryable: true },
  shutting_down: { title: 'Server is shutting down', retryable: true }
} as const satisfies Record<string, Meaning>

export type RefusalCode = keyof typeof REFUSALS

/**
 * A refused request. `detail` is a sentence for a person; `facts` become further members of the problem document,
 * so they must not contain secrets.
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
