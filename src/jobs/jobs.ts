import type { ReservedUlid, ProjectId, UserId } from '#kernel/ids.ts'
import type { RawPatch } from '#workspaces'
import type { AgentRestart, AgentView } from './agent-schemas.ts'
import { checkPosition, pageOf, type Page, type PageOf } from '#kernel/pages.ts'
import type {
  AiCommand,
  Estimate,
  JobDiff,
  JobView,
  MessageView,
  PermissionAnswer,
  QuestionAnswer,
  RepairResult,
  ReviewOptions,
  ReviewResult,
  SessionView,
  Submitted
} from './job-schemas.ts'
import { ownProject } from '#projects'
import { answerPrompt } from './manage/answer-prompt.ts'
import { cancelJob } from './manage/cancel-job.ts'
import { listMessages, listSessions } from './read/conversations.ts'
import { estimateJob } from './submit/estimate-job.ts'
import type { ApiDeps } from './job-deps.ts'
import { ownJob, readJobsOfProject, readUnfinishedJobs } from './stores/job-read-store.ts'
import type { JobRow } from './stores/job-store.ts'
import { readViews } from './read/read-views.ts'
import { readAgent, restartAgent } from './manage/project-agent.ts'
import { repairProject } from './manage/repair-project.ts'
import { removeProject } from './manage/remove-project.ts'
import { retryJob } from './submit/retry-job.ts'
import { diffOfJob, patchOfJob } from './read/job-diff.ts'
import { reviewJob } from './manage/review-job.ts'
import { submitJob } from './submit/submit-job.ts'

/**
 * What users can do with jobs. Ids are unchecked texts; one that is not the user's own is refused with `not_found`.
 * Refusals are AppErrors with the contract's codes.
 */
export interface Jobs {
  /** `reservedId` becomes the job's id. Refuses with 402 `insufficient_credits`, 422 `unknown_mode` / `unknown_model`, 429 `queue_full`. */
  submit(
    userId: UserId,
    projectId: string,
    command: AiCommand,
    reservedId: ReservedUlid
  ): Promise<Submitted>
  /** What `submit` would reserve, and what the job likely costs. Refuses alike, and writes nothing. */
  estimate(userId: UserId, projectId: string, command: AiCommand): Promise<Estimate>
  retry(userId: UserId, jobId: string, reservedId: ReservedUlid): Promise<Submitted>
  cancel(userId: UserId, jobId: string): Promise<JobView>
  find(userId: UserId, jobId: string): Promise<JobView>
  list(userId: UserId, projectId: string, page: Page): Promise<PageOf<JobView>>
  diff(userId: UserId, jobId: string, path?: string): Promise<JobDiff>
  rawDiff(userId: UserId, jobId: string, path?: string): Promise<RawPatch>
  merge(userId: UserId, jobId: string, options: ReviewOptions): Promise<ReviewResult>
  discard(userId: UserId, jobId: string, options: ReviewOptions): Promise<ReviewResult>
  revert(userId: UserId, jobId: string, options: ReviewOptions): Promise<ReviewResult>
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
  /** The project's queued and active jobs, oldest first: for a socket's snapshot. */
  unfinished(projectId: ProjectId): Promise<JobView[]>
  /** Cancels the project's jobs, stops its agent and deletes its files. Its history stays. */
  removeProject(userId: UserId, projectId: string): Promise<void>
  /** Checks a project's workspace, and repairs what can be repaired. */
  repair(userId: UserId, projectId: string): Promise<RepairResult>
  agent(userId: UserId, projectId: string): Promise<AgentView>
  /** Refuses with 409 `agent_busy` while a job runs, unless `force` is set: then the job is cancelled. */
  restartAgent(userId: UserId, projectId: string, how: AgentRestart): Promise<AgentView>
}

/** Joins what users can do with jobs; each operation has a file of its own. */
export function createJobs(deps: ApiDeps): Jobs {
  const { db } = deps
  const views = (rows: readonly JobRow[]) => readViews(deps, rows)
  const view = async (job: JobRow) => (await views([job]))[0]!

  return {
    submit: (user, project, command, reservedId) =>
      submitJob(deps, user, project, command, reservedId),
    estimate: (user, project, command) => estimateJob(deps, user, project, command),
    retry: (user, id, reservedId) => retryJob(deps, user, id, reservedId),
    cancel: async (user, id) => view(await cancelJob(deps, user, id)),
    find: async (user, id) => view(await ownJob(db, user, id)),

    async list(user, projectId, { cursor, limit }) {
      const project = await ownProject(db, user, projectId)
      const before = checkPosition(cursor)
      const rows = await readJobsOfProject(db, project.id, { before, limit: limit + 1 })
      const page = pageOf(rows, limit, (job) => job.position)
      return { items: await views(page.items), nextCursor: page.nextCursor }
    },

    diff: (user, id, path) => diffOfJob(deps, user, id, path),
    rawDiff: (user, id, path) => patchOfJob(deps, user, id, path),
    merge: (user, id, options) => reviewJob(deps, 'merge', user, id, options),
    discard: (user, id, options) => reviewJob(deps, 'discard', user, id, options),
    revert: (user, id, options) => reviewJob(deps, 'revert', user, id, options),

    answerPermission: (user, id, permissionId, answer) =>
      answerPrompt(deps, user, id, permissionId, { kind: 'permission', answer }),
    answerQuestion: (user, id, questionId, answer) =>
      answerPrompt(deps, user, id, questionId, { kind: 'question', answer }),

    sessions: (user, projectId, page) => listSessions(db, user, projectId, page),
    messages: (user, id, page) =>
      listMessages(deps, user, id, { ...page, cursor: checkPosition(page.cursor) }),
    unfinished: async (projectId) => views(await readUnfinishedJobs(db, projectId)),
    removeProject: (user, id) => removeProject(deps, user, id),
    repair: (user, id) => repairProject(deps, user, id),
    agent: (user, id) => readAgent(deps, user, id),
    restartAgent: (user, id, how) => restartAgent(deps, user, id, how)
  }
}
