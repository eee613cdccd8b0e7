import { JobFailure, type JobFailureCode } from '#kernel/job-failures.ts'
import type { AgentFailure, AgentFailureReason } from '#supervisor'

const CODES: Record<AgentFailureReason, JobFailureCode> = {
  stopped: 'interrupted',
  crashed: 'agent_crashed',
  stalled: 'agent_stalled',
  unavailable: 'agent_unavailable',
  'out-of-memory': 'agent_out_of_memory',
  // The message names the limit.
  'too-many-processes': 'agent_crashed',
  'disk-full': 'disk_full'
}

/** A failed agent fails its job, with the same message. */
export const jobFailureOf = (failure: AgentFailure): JobFailure =>
  new JobFailure(CODES[failure.reason], failure.message, { cause: failure })
