interface Meaning {
  readonly retryable: boolean
  /**
   * `used`: the user pays for the usage. `nothing`: the job is fully refunded and the platform bears the cost. `goodwill`:
   * fully refunded up to a budget per user, since a command of the agent can cause it; beyond the budget as `used`.
   */
  readonly userPays: 'used' | 'nothing' | 'goodwill'
}

/** Every reason for which a job fails, whether a retry may succeed, and who bears the cost. */
export const JOB_FAILURES = {
  cancelled: { retryable: true, userPays: 'used' },
  credits_exhausted: { retryable: false, userPays: 'used' },
  model_error: { retryable: false, userPays: 'nothing' },
  model_unreachable: { retryable: true, userPays: 'nothing' },
  model_rate_limited: { retryable: true, userPays: 'nothing' },
  agent_crashed: { retryable: true, userPays: 'goodwill' },
  agent_stalled: { retryable: true, userPays: 'goodwill' },
  agent_out_of_memory: { retryable: true, userPays: 'goodwill' },
  agent_unavailable: { retryable: true, userPays: 'nothing' },
  disk_full: { retryable: false, userPays: 'used' },
  permission_timeout: { retryable: true, userPays: 'used' },
  job_timeout: { retryable: true, userPays: 'used' },
  workspace_error: { retryable: true, userPays: 'nothing' },
  lease_lost: { retryable: true, userPays: 'nothing' },
  interrupted: { retryable: true, userPays: 'nothing' }
} as const satisfies Record<string, Meaning>

export type JobFailureCode = keyof typeof JOB_FAILURES

/** Ends a job: thrown where the reason is known, mapped to a final state and a refund by `src/jobs/finish`. */
export class JobFailure extends Error {
  readonly code: JobFailureCode

  constructor(code: JobFailureCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'JobFailure'
    this.code = code
  }
}
