import type { ReservedUlid, ProjectId, UserId } from '#kernel/ids.ts'
import type {
  AiCommand,
  Estimate,
  JobDiff,
  JobView,
  MessageView,
  Page,
  PageOf,
  PermissionAnswer,
  QuestionAnswer,
  ReviewResult,
  SessionView,
  Submitted
} from './job-schemas.ts'

/**
 * What people can do with jobs. Ids are texts as they came; one that is not the user's own is refused as
 * `not_found`. Refusals are AppErrors with the contract's codes.
 */
export interface Jobs {
  /** `reservedId` becomes the job's. 402 `insufficient_credits`, 422 `unknown_mode` / `unknown_model`, 429 `queue_full`. */
  submit(
    userId: UserId,
    projectId: string,
    command: AiCommand,
    reservedId: ReservedUlid
  ): Promise<Submitted>
  /** What `submit` would reserve and the job likely cost; refuses alike, and starts nothing. */
  estimate(userId: UserId, projectId: string, command: AiCommand): Promise<Estimate>
  retry(userId: UserId, jobId: string, reservedId: ReservedUlid): Promise<Submitted>
  cancel(userId: UserId, jobId: string): Promise<JobView>
  find(userId: UserId, jobId: string): Promise<JobView>
  list(userId: UserId, projectId: string, page: Page): Promise<PageOf<JobView>>
  diff(userId: UserId, jobId: string): Promise<JobDiff>
  rawDiff(userId: UserId, jobId: string): Promise<string>
  merge(userId: UserId, jobId: string, dryRun: boolean): Promise<ReviewResult>
  discard(userId: UserId, jobId: string, dryRun: boolean): Promise<ReviewResult>
  revert(userId: UserId, jobId: string, dryRun: boolean): Promise<ReviewResult>
  answerPermission(
    userId: UserId,
    jobId: string,
    permissionId: string,
    answer: PermissionAnswer
  ): Promise<void>
  answerQuestion(
    userId: UserId,
    jobId: string,
    questionId: string,
    answer: QuestionAnswer
  ): Promise<void>
  sessions(userId: UserId, projectId: string, page: Page): Promise<PageOf<SessionView>>
  messages(userId: UserId, sessionId: string, page: Page): Promise<PageOf<MessageView>>
  /** Queued, starting, running and settling jobs of a project, oldest first: for a socket's snapshot. */
  unfinished(projectId: ProjectId): Promise<JobView[]>
  /** Cancels what the project is doing, stops its agent, removes its files. The history stays. */
  removeProject(userId: UserId, projectId: string): Promise<void>
}
