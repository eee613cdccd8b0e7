const MEANINGS = {
  no_token: { status: 401, type: 'authentication_error' },
  no_job: { status: 403, type: 'permission_error' },
  wrong_turn: { status: 403, type: 'permission_error' },
  wrong_session: { status: 403, type: 'permission_error' },
  model_not_allowed: { status: 403, type: 'permission_error' },
  not_allowed: { status: 400, type: 'invalid_request_error' },
  invalid: { status: 400, type: 'invalid_request_error' },
  too_large: { status: 413, type: 'request_too_large' },
  too_slow: { status: 408, type: 'invalid_request_error' },
  // Kilo retries after a 429.
  busy: { status: 429, type: 'rate_limit_error' },
  nothing_here: { status: 404, type: 'not_found_error' },
  // Kilo does not retry after a 402.
  exhausted: { status: 402, type: 'billing_error' },
  broken: { status: 500, type: 'api_error' }
} as const

export type RefusalKind = keyof typeof MEANINGS

/** A request that the gateway refuses: it is not forwarded and costs nothing. */
export class GatewayRefusal extends Error {
  readonly kind: RefusalKind

  constructor(kind: RefusalKind, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'GatewayRefusal'
    this.kind = kind
  }
}

export const meaningOf = (kind: RefusalKind) => MEANINGS[kind]
