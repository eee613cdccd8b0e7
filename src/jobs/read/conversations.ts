import type { Db } from '#db'
import type { Feed } from '#events'
import { AppError } from '#kernel/errors.ts'
import { sessionId, type UserId } from '#kernel/ids.ts'
import { pageOf, type Page, type PageOf } from '#kernel/pages.ts'
import { ownProject, readProject } from '#projects'
import type { MessageView, SessionView } from '../job-schemas.ts'
import { readJobsOfSession } from '../stores/job-read-store.ts'
import type { JobRow } from '../stores/job-store.ts'
import { readSession, readSessions, type SessionRow } from '../stores/session-store.ts'

const viewOf = (row: SessionRow): SessionView => ({
  id: row.id,
  projectId: row.project_id,
  title: row.title,
  createdAt: row.created_at.toISOString(),
  lastUsedAt: row.last_used_at.toISOString()
})

/** The conversations of a project, newest first. */
export async function listSessions(
  db: Db,
  userId: UserId,
  projectId: string,
  { cursor, limit }: Page
): Promise<PageOf<SessionView>> {
  const project = await ownProject(db, userId, projectId)
  const rows = await readSessions(db, project.id, { before: cursor, limit: limit + 1 })
  const page = pageOf(rows, limit, (row) => row.id)
  return { ...page, items: page.items.map(viewOf) }
}

/** The messages of a conversation, oldest first: of each job the prompt and the agent's answer. */
export async function listMessages(
  deps: { readonly db: Db; readonly feed: Feed },
  userId: UserId,
  id: string,
  { cursor, limit }: Page
): Promise<PageOf<MessageView>> {
  const session = await ownSession(deps.db, userId, id)
  const jobs = await readJobsOfSession(deps.db, session.id, { after: cursor, limit: limit + 1 })
  const page = pageOf(jobs, limit, (job) => job.position)
  const messages = await Promise.all(page.items.map((job) => messagesOf(deps.feed, job)))
  return { items: messages.flat(), nextCursor: page.nextCursor }
}

/** Refuses a session of another user or of a deleted project in the same words as an unknown id. */
async function ownSession(db: Db, userId: UserId, id: string): Promise<SessionRow> {
  const known = sessionId.parse(id)
  const session = known && (await readSession(db, known))
  const project = session && (await readProject(db, userId, session.project_id))
  if (!session || !project) throw new AppError('not_found', `There is no session ${id}`)
  return session
}

async function messagesOf(feed: Feed, job: JobRow): Promise<MessageView[]> {
  const asked = { jobId: job.id, role: 'user', text: job.text } as const
  const answer = { jobId: job.id, role: 'assistant', text: await answerOf(feed, job) } as const
  return [
    { ...asked, createdAt: job.created_at.toISOString() },
    { ...answer, createdAt: (job.finished_at ?? job.started_at ?? job.created_at).toISOString() }
  ]
}

/** The assistant's text parts, each joined from its pieces, a blank line between them. */
async function answerOf(feed: Feed, job: JobRow): Promise<string> {
  const parts = new Map<string, string>()
  const signal = AbortSignal.timeout(10_000)
  const lastSeq = await feed.lastSeq(job.project_id)
  let after = 0
  while (after < lastSeq) {
    signal.throwIfAborted()
    const page = { after, limit: 1000, types: ['job:log'], jobId: job.id }
    const frames = await feed.page(job.project_id, page)
    for (const { data } of frames) {
      const { source, partId, text } = data as { source: string; partId: string; text: string }
      if (source === 'assistant') parts.set(partId, (parts.get(partId) ?? '') + text)
    }
    if (frames.length < page.limit) break
    after = frames.at(-1)!.seq
  }
  return [...parts.values()].join('\n\n')
}
