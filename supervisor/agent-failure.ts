import { JobFailure } from '#kernel/job-failures.ts'

/** Why an agent cannot be had, in a sentence. */
export const unavailable = (sentence: string) => new JobFailure('agent_unavailable', sentence)
