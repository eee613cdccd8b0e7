import type { JobStatus } from '#kernel/frames.ts'
import type { Transitions } from '#kernel/transitions.ts'

/**
 * A job's life. A terminal state is written only together with its hold's resolution and its last frame;
 * a job that is told to stop before it has begun goes straight there.
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
