export { createJobs, type Jobs } from './jobs.ts'
export {
  noMetrics,
  type ApiDeps,
  type JobMetrics,
  type JobSettings,
  type ProjectCommands,
  type WorkerDeps
} from './job-deps.ts'
export { AgentRestart, AgentView } from './agent-schemas.ts'
export { createProjectCommands } from './project-commands.ts'
export {
  AiCommand,
  Estimate,
  JobDiff,
  JobView,
  MessageView,
  PermissionAnswer,
  QuestionAnswer,
  RepairResult,
  ReviewBody,
  ReviewResult,
  SessionView,
  Submitted
} from './job-schemas.ts'
export { createWorker, type Worker } from './worker.ts'
