export { createJobs } from './jobs.ts'
export type { JobDeps, JobSettings } from './job-deps.ts'
export { noMetrics, type JobMetrics } from './job-deps.ts'
export {
  AiCommand,
  Estimate,
  JobDiff,
  JobView,
  MessageView,
  PermissionAnswer,
  QuestionAnswer,
  ReviewResult,
  SessionView,
  Submitted,
  type Page,
  type PageOf
} from './job-schemas.ts'
export type { Jobs } from './jobs.ts'
export { createWorker, type Worker } from './worker.ts'
