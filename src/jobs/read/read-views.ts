import type { JobId } from '#kernel/ids.ts'
import type { ApiDeps } from '../job-deps.ts'
import type { JobView } from '../job-schemas.ts'
import { ACTIVE } from '../job-states.ts'
import { readQueue } from '../stores/job-read-store.ts'
import type { JobRow } from '../stores/job-store.ts'
import { readOpenPrompts } from '../stores/prompt-store.ts'
import { viewOf } from './job-view.ts'

/** The views of jobs of one project, with as many queries for all of them as for one. */
export async function readViews(
  { db, feed }: Pick<ApiDeps, 'db' | 'feed'>,
  rows: readonly JobRow[]
): Promise<JobView[]> {
  const [first] = rows
  if (!first) return []
  const isActive = ({ status }: JobRow) => (ACTIVE as readonly string[]).includes(status)
  const active = rows.filter(isActive).map(({ id }) => id)
  const hasQueued = rows.some(({ status }) => status === 'queued')
  const [prompts, queue, lastSeq] = await Promise.all([
    readOpenPrompts(db, active),
    hasQueued ? readQueue(db, first.project_id) : ([] as JobId[]),
    feed.lastSeq(first.project_id)
  ])
  return rows.map((job) => {
    const ahead = queue.indexOf(job.id)
    return viewOf(job, {
      prompts: prompts.filter(({ job_id: of }) => of === job.id),
      // A job that has begun since its row was read is no longer in the queue's order.
      ahead: job.status === 'queued' ? Math.max(ahead, 0) : null,
      lastSeq
    })
  })
}
