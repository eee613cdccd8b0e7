import type { JobRow } from '../stores/job-store.ts'

/** How long the first line of a commit message may be: longer ones are cut by `git log --oneline` and forges. */
export const SUBJECT_CHARS_MAX = 72

/** Which job made a commit, in which conversation, with which model and for how many credits. */
export const trailersOf = (job: JobRow, credits: number) => ({
  'Job-Id': job.id,
  'Session-Id': job.session_id,
  Model: job.model,
  Credits: String(credits)
})

export const mergeMessage = (branch: string, ...jobs: readonly Pick<JobRow, 'id'>[]) =>
  `Merge ${branch}\n\n${jobs.map(({ id }) => `Job-Id: ${id}`).join('\n')}`
