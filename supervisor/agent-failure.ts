/**
 * Why an agent failed: `stopped` on request, its process `crashed`, it `stalled` (it runs and does not respond), it
 * is `unavailable` (it could not be started, or it refused the request), or it was ended because its room exceeded a limit.
 */
export type AgentFailureReason =
  | 'stopped'
  | 'crashed'
  | 'stalled'
  | 'unavailable'
  | 'out-of-memory'
  | 'too-many-processes'
  | 'disk-full'

/** The agent itself failed. The supervisor knows no jobs, so the caller decides what this means for its job. */
export class AgentFailure extends Error {
  readonly reason: AgentFailureReason

  constructor(reason: AgentFailureReason, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'AgentFailure'
    this.reason = reason
  }
}

export const unavailable = (message: string) => new AgentFailure('unavailable', message)
