import type { JobStatus } from '#kernel/frames.ts'
import type { Transitions } from '#kernel/transitions.ts'

/**
 * The states of a job. A terminal state is written only in the transaction that resolves its hold and writes its last
 * frames. A job that is cancelled before it runs goes to its terminal state directly.
 */
export const JOB_STATES: Transitions<JobStatus> = {
  queued: ['starting', 'cancelled'],
  starting: ['running', 'settling', 'failed', 'cancelled'],
  running: ['settling', 'failed', 'cancelled'],
  settling: ['succeeded', 'failed', 'cancelled'],
  succeeded: [],
  failed: [],
  cancelled: []
}

export const ACTIVE = ['starting', 'running', 'settling'] as const satisfies JobStatus[]
export const UNFINISHED = ['queued', ...ACTIVE] as const satisfies JobStatus[]

/** The states from which the table allows a step to `next`: the guard of an UPDATE. */
export const statesBefore = (next: JobStatus): JobStatus[] =>
  (Object.keys(JOB_STATES) as JobStatus[]).filter((state) => JOB_STATES[state].includes(next))
