import type { RefusalCode } from '#kernel/errors.ts'

/** The HTTP status of each refusal. The folders below `http` know refusals by their codes only. */
export const PROBLEM_STATUSES = {
  invalid_request: 400,
  path_not_allowed: 400,
  unauthenticated: 401,
  insufficient_credits: 402,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  request_timeout: 408,
  job_not_mergeable: 409,
  stands_on_held_work: 409,
  merge_conflict: 409,
  job_not_retryable: 409,
  path_is_directory: 409,
  agent_busy: 409,
  idempotency_in_flight: 409,
  file_changed: 412,
  payload_too_large: 413,
  quota_exceeded: 413,
  idempotency_key_reused: 422,
  unknown_mode: 422,
  unknown_model: 422,
  queue_full: 429,
  rate_limited: 429,
  internal: 500,
  workspace_error: 503,
  agent_unavailable: 503,
  disk_full: 503,
  database_unavailable: 503,
  shutting_down: 503
} as const satisfies Record<RefusalCode, number>
