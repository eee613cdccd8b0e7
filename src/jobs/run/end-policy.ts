import type { TurnOutcome } from '#kernel/agent-events.ts'
import { JobFailure } from '#kernel/job-failures.ts'
import { isDiskFull } from '#kernel/machine/disk-space.ts'
import { AgentFailure } from '#supervisor'
import { diskFull } from './disk-room.ts'
import { jobFailureOf } from './agent-failures.ts'

/** What is known of a turn when it is over. */
export interface TurnEnd {
  /** How the agent's turn ended; undefined when it ended with an error instead. */
  readonly outcome?: TurnOutcome | undefined
  /** What the turn, or the way to it, threw. */
  readonly error?: unknown
  /** The first reason for which the job was asked to stop: a person, a limit, the lease, the server. */
  readonly stopReason: JobFailure | undefined
  /** Set once a permission had no answer before its deadline. */
  readonly unansweredPermission: JobFailure | undefined
  /** The job's model and the server's default, both `provider/model`. */
  readonly model: string
  readonly defaultModel: string
}

export type JobEnding =
  { readonly kind: 'keep' } | { readonly kind: 'fail'; readonly failure: JobFailure }

/**
 * Decides how a job ends: its work is kept, or it fails for one reason. A reason to stop outweighs whatever the agent made
 * of being stopped; then comes an error, then the agent's own outcome, then an unanswered permission.
 */
export function decideEnd(end: TurnEnd): JobEnding {
  const failure = end.stopReason ?? failureOfTurn(end) ?? end.unansweredPermission
  return failure ? { kind: 'fail', failure } : { kind: 'keep' }
}

function failureOfTurn(end: TurnEnd): JobFailure | undefined {
  const { outcome, error } = end
  if (error !== undefined) return toJobFailure(error)
  switch (outcome?.kind) {
    case 'completed':
      return undefined
    case 'failed':
      return new JobFailure(
        outcome.reason,
        outcome.status === NOT_FOUND ? modelNotFound(end, outcome.message) : outcome.message
      )
    case 'interrupted':
    case undefined:
      return new JobFailure('agent_crashed', 'the agent stopped in the middle of its turn')
  }
}

/** How a provider answers when it does not have a model, for instance one that it has retired. */
const NOT_FOUND = 404

function modelNotFound({ model, defaultModel }: TurnEnd, message: string): string {
  const advice =
    model === defaultModel
      ? 'it is the default of this server, whose operator can set MODEL to another one'
      : `choose another one, for instance the default ${defaultModel}`
  return `The provider does not have the model ${model}: ${advice}. Its answer was 404: ${message}`
}

/** An error that is neither a job's nor an agent's failure is a fault of this server: the user does not pay for it. */
export function toJobFailure(error: unknown): JobFailure {
  if (error instanceof JobFailure) return error
  if (error instanceof AgentFailure) return jobFailureOf(error)
  if (isDiskFull(error)) return diskFull(error)
  return new JobFailure('interrupted', 'an internal error ended the job', { cause: error })
}
