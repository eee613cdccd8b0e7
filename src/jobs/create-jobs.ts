import { ownProject } from '#projects'
import { answerPrompt } from './answer-prompt.ts'
import { cancelJob } from './cancel-job.ts'
import { listMessages, listSessions } from './conversations.ts'
import { estimateJob } from './estimate-job.ts'
import type { JobDeps } from './job-deps.ts'
import { ACTIVE } from './job-states.ts'
import { countJobsAhead, readJobsOfProject, readUnfinishedJobs } from './job-read-store.ts'
import type { JobRow } from './job-store.ts'
import { viewOf } from './job-view.ts'
import type { Jobs } from './jobs.ts'
import { ownJob } from './own-job.ts'
import { pageOf, readPosition } from './pages.ts'
import { readOpenPrompts } from './prompt-store.ts'
import { removeProject } from './remove-project.ts'
import { retryJob } from './retry-job.ts'
import { diffOfJob, patchOfJob, reviewJob } from './review-job.ts'
import { submitJob } from './submit-job.ts'

/** What people can do with jobs, each deed in a file of its own. */
export function createJobs(deps: JobDeps): Jobs {
  const { db, feed } = deps

  const view = async (job: JobRow) => {
    const isActive = (ACTIVE as readonly string[]).includes(job.status)
    const [prompts, ahead, { lastSeq }] = await Promise.all([
      isActive ? readOpenPrompts(db, [job.id]) : [],
      job.status === 'queued' ? countJobsAhead(db, job) : null,
      feed.reach(job.project_id)
    ])
    return viewOf(job, { prompts, ahead, lastSeq })
  }
  const views = (rows: readonly JobRow[]) => Promise.all(rows.map(view))

  return {
    submit: (user, project, command, reservedId) =>
      submitJob(deps, user, project, command, reservedId),
    estimate: (user, project, command) => estimateJob(deps, user, project, command),
    retry: (user, id, reservedId) => retryJob(deps, user, id, reservedId),
    cancel: async (user, id) => view(await cancelJob(deps, user, id)),
    find: async (user, id) => view(await ownJob(db, user, id)),

    async list(user, projectId, { cursor, limit }) {
      const project = await ownProject(db, user, projectId)
      const before = readPosition(cursor)
      const rows = await readJobsOfProject(db, project.id, { before, limit: limit + 1 })
      const page = pageOf(
        rows,
        limit,
        (job) => job.position,
        (job) => job
      )
      return { items: await views(page.items), nextCursor: page.nextCursor }
    },

    diff: (user, id) => diffOfJob(deps, user, id),
    rawDiff: (user, id) => patchOfJob(deps, user, id),
    merge: (user, id, dryRun) => reviewJob(deps, 'merge', user, id, dryRun),
    discard: (user, id, dryRun) => reviewJob(deps, 'discard', user, id, dryRun),
    revert: (user, id, dryRun) => reviewJob(deps, 'revert', user, id, dryRun),

    answerPermission: (user, id, permissionId, answer) =>
      answerPrompt(deps, user, id, permissionId, { kind: 'permission', answer }),
    answerQuestion: (user, id, questionId, answer) =>
      answerPrompt(deps, user, id, questionId, { kind: 'question', answer }),

    sessions: (user, projectId, page) => listSessions(db, user, projectId, page),
    messages: (user, id, page) =>
      listMessages(deps, user, id, { ...page, cursor: readPosition(page.cursor) }),
    unfinished: async (projectId) => views(await readUnfinishedJobs(db, projectId)),
    removeProject: (user, id) => removeProject(deps, user, id)
  }
}
