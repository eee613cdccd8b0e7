import type { Db } from '#db'
import { AppError } from '#kernel/errors.ts'
import { jobId, type JobId, type ProjectId, type SessionId, type UserId } from '#kernel/ids.ts'
import { microcredits, type Microcredits } from '#kernel/money.ts'
import { ACTIVE, UNFINISHED } from '../job-states.ts'
import type { JobRow, NewJob } from './job-store.ts'

export function readJob(db: Db, id: JobId): Promise<JobRow | undefined> {
  return db.selectFrom('jobs').selectAll().where('id', '=', id).executeTakeFirst()
}

/** Newest first, from before the position `before`. */
export function readJobsOfProject(
  db: Db,
  projectId: ProjectId,
  page: { readonly before?: string | undefined; readonly limit: number }
): Promise<JobRow[]> {
  let query = db
    .selectFrom('jobs')
    .selectAll()
    .where('project_id', '=', projectId)
    .orderBy('position', 'desc')
    .limit(page.limit)
  if (page.before !== undefined) query = query.where('position', '<', page.before)
  return query.execute()
}

/** Oldest first. */
export function readJobsOfSession(
  db: Db,
  sessionId: SessionId,
  page: { readonly after?: string | undefined; readonly limit: number }
): Promise<JobRow[]> {
  let query = db
    .selectFrom('jobs')
    .selectAll()
    .where('session_id', '=', sessionId)
    .orderBy('position')
    .limit(page.limit)
  if (page.after !== undefined) query = query.where('position', '>', page.after)
  return query.execute()
}

/** Oldest first. */
export function readUnfinishedJobs(db: Db, projectId: ProjectId): Promise<JobRow[]> {
  return db
    .selectFrom('jobs')
    .selectAll()
    .where('project_id', '=', projectId)
    .where('status', 'in', UNFINISHED)
    .orderBy('position')
    .execute()
}

/** The project's active job, if there is one: a constraint allows no second one. */
export function readActiveJob(db: Db, projectId: ProjectId): Promise<JobRow | undefined> {
  return db
    .selectFrom('jobs')
    .selectAll()
    .where('project_id', '=', projectId)
    .where('status', 'in', ACTIVE)
    .executeTakeFirst()
}

/** The job that has the conversation's last work that waits for review, other than this job. */
export function readHeldJob(db: Db, job: JobRow): Promise<JobRow | undefined> {
  return db
    .selectFrom('jobs')
    .selectAll()
    .where('session_id', '=', job.session_id)
    .where('id', '<>', job.id)
    .where((of) =>
      of.or([
        of('merge', '=', 'held'),
        of.and([of('merge', '=', 'merging'), of('review_of', '=', 'held')])
      ])
    )
    .orderBy('position', 'desc')
    .limit(1)
    .executeTakeFirst()
}

/** The job whose unreviewed work this job's work stands on; null: none, or that has been merged meanwhile. */
export async function readBasedOn(db: Db, id: JobId): Promise<JobId | null> {
  const row = await db.selectFrom('jobs').select('based_on').where('id', '=', id).executeTakeFirst()
  return row?.based_on ?? null
}

/** What the project's last jobs of this mode and model cost. */
export async function readRecentCosts(
  db: Db,
  job: Pick<NewJob, 'projectId' | 'mode' | 'model'>,
  limit: number
): Promise<Microcredits[]> {
  const rows = await db
    .selectFrom('jobs')
    .select('charged')
    .where('project_id', '=', job.projectId)
    .where('mode', '=', job.mode)
    .where('model', '=', job.model)
    .where('status', '=', 'succeeded')
    .orderBy('position', 'desc')
    .limit(limit)
    .execute()
  return rows.map((row) => microcredits(BigInt(row.charged ?? 0)))
}

/** How many jobs of the project come before this one. */
export async function countJobsAhead(db: Db, job: JobRow): Promise<number> {
  const { ahead } = await db
    .selectFrom('jobs')
    .select((of) => of.fn.countAll<string>().as('ahead'))
    .where('project_id', '=', job.project_id)
    .where('status', 'in', UNFINISHED)
    .where('position', '<', job.position)
    .executeTakeFirstOrThrow()
  return Number(ahead)
}

/** The ids of the project's unfinished jobs, in the order in which they run. */
export async function readQueue(db: Db, projectId: ProjectId): Promise<JobId[]> {
  const rows = await db
    .selectFrom('jobs')
    .select('id')
    .where('project_id', '=', projectId)
    .where('status', 'in', UNFINISHED)
    .orderBy('position')
    .execute()
  return rows.map(({ id }) => id)
}

export async function countQueuedJobs(db: Db, projectId: ProjectId): Promise<number> {
  const { queued } = await db
    .selectFrom('jobs')
    .select((of) => of.fn.countAll<string>().as('queued'))
    .where('project_id', '=', projectId)
    .where('status', '=', 'queued')
    .executeTakeFirstOrThrow()
  return Number(queued)
}

/** Projects that have queued jobs and no active one: the sweep rings for them. */
export async function readWaitingProjects(db: Db): Promise<ProjectId[]> {
  const rows = await db
    .selectFrom('jobs')
    .select('project_id')
    .distinct()
    .where('status', '=', 'queued')
    .where((of) =>
      of.not(
        of.exists(
          of
            .selectFrom('jobs as active')
            .select('active.id')
            .whereRef('active.project_id', '=', 'jobs.project_id')
            .where('active.status', 'in', ACTIVE)
        )
      )
    )
    .execute()
  return rows.map((row) => row.project_id)
}

/** Jobs that are active by their row, whether or not a worker holds the lease. */
export function readActiveJobs(db: Db): Promise<JobRow[]> {
  return db.selectFrom('jobs').selectAll().where('status', 'in', ACTIVE).execute()
}

/** The job of that id, if it is this user's own; refuses any other id with `not_found`. */
export async function ownJob(db: Db, userId: UserId, id: string): Promise<JobRow> {
  const known = jobId.parse(id)
  const job = known && (await readJob(db, known))
  if (job?.user_id !== userId) throw new AppError('not_found', `There is no job ${id}`)
  return job
}
