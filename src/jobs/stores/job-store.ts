import type { Selectable } from 'kysely'
import type { Db, Schema } from '#db'
import type { Goodwill, JobStatus, MergeState, UsageTotals } from '#kernel/frames.ts'
import type { JobId, ProjectId, SessionId, UserId } from '#kernel/ids.ts'
import type { JobFailureCode } from '#kernel/job-failures.ts'
import type { Microcredits } from '#kernel/money.ts'
import { storableJson } from '#kernel/text.ts'
import { ACTIVE, statesBefore, UNFINISHED } from '../job-states.ts'

export type JobRow = Selectable<Schema['jobs']>

export interface NewJob {
  readonly id: JobId
  readonly projectId: ProjectId
  readonly userId: UserId
  readonly sessionId: SessionId
  readonly text: string
  readonly mode: string
  readonly model: string
  readonly currentFilePath: string | null
  readonly review: 'merge' | 'hold'
  readonly maxCredits: Microcredits | null
  readonly reserved: Microcredits
}

export async function insertJob(db: Db, job: NewJob): Promise<JobRow> {
  return db
    .insertInto('jobs')
    .values({
      id: job.id,
      project_id: job.projectId,
      user_id: job.userId,
      session_id: job.sessionId,
      status: 'queued',
      text: job.text,
      mode: job.mode,
      model: job.model,
      current_file_path: job.currentFilePath,
      review: job.review,
      max_credits: job.maxCredits,
      reserved: job.reserved,
      merge: 'none'
    })
    .returningAll()
    .executeTakeFirstOrThrow()
}

/** A job that a dead worker left belongs to this lease from now on. */
export async function updateJobToken(db: Db, id: JobId, token: bigint): Promise<void> {
  await db
    .updateTable('jobs')
    .set({ token })
    .where('id', '=', id)
    .where('status', 'in', ACTIVE)
    .execute()
}

/** The oldest queued job of the project becomes `starting`, under this lease. */
export async function claimNextJob(
  db: Db,
  projectId: ProjectId,
  token: bigint,
  now: Date
): Promise<JobRow | undefined> {
  return db
    .updateTable('jobs')
    .set({ status: 'starting', token, started_at: now })
    .where('id', '=', (of) =>
      of
        .selectFrom('jobs')
        .select('id')
        .where('project_id', '=', projectId)
        .where('status', '=', 'queued')
        .orderBy('position')
        .limit(1)
    )
    .where('status', '=', 'queued')
    .returningAll()
    .executeTakeFirst()
}

export interface JobChanges {
  readonly branch?: string
  readonly agent_session_id?: string
  readonly prompt_sent_at?: Date
}

/**
 * Moves a job to its next state. False when `JOB_STATES` does not allow the step, or a later lease has claimed the job:
 * then it is unchanged.
 */
export async function updateJobStatus(
  db: Db,
  id: JobId,
  token: bigint,
  status: JobStatus,
  changes: JobChanges = {}
): Promise<boolean> {
  const step = db
    .updateTable('jobs')
    .set({ status, ...changes })
    .where('id', '=', id)
    .where('token', '=', String(token))
    .where('status', 'in', statesBefore(status))
  // A job that settles can no longer be cancelled, so a request to cancel must not have come before.
  const guarded = status === 'settling' ? step.where('cancel_requested_at', 'is', null) : step
  return (await guarded.executeTakeFirst()).numUpdatedRows === 1n
}

/** The commit that the branch of an active job starts from. False when a later lease has claimed the job. */
export async function updateJobBase(
  db: Db,
  id: JobId,
  token: bigint,
  base: string
): Promise<boolean> {
  const updated = await db
    .updateTable('jobs')
    .set({ base })
    .where('id', '=', id)
    .where('token', '=', String(token))
    .where('status', 'in', ACTIVE)
    .executeTakeFirst()
  return updated.numUpdatedRows === 1n
}

export async function updateReserved(db: Db, id: JobId, reserved: Microcredits): Promise<void> {
  await db.updateTable('jobs').set({ reserved }).where('id', '=', id).execute()
}

export interface JobEnd {
  readonly status: 'succeeded' | 'failed' | 'cancelled'
  readonly charged: Microcredits
  readonly refunded: Microcredits
  readonly goodwill: Goodwill | null
  readonly usage: UsageTotals
  /** Steps on which agent and gateway disagree. */
  readonly mismatch: readonly object[]
  readonly branch: string | null
  readonly base: string | null
  readonly commit: string | null
  readonly merge: MergeState
  readonly error: { readonly code: JobFailureCode; readonly message: string } | null
  readonly at: Date
}

/** Writes a job's end. False when it has ended already, or belongs to a later lease. */
export async function updateJobEnd(
  db: Db,
  id: JobId,
  token: bigint | null,
  end: JobEnd
): Promise<boolean> {
  let query = db
    .updateTable('jobs')
    .set({
      status: end.status,
      charged: end.charged,
      refunded: end.refunded,
      goodwill: end.goodwill,
      reserved: end.charged + end.refunded,
      usage: JSON.stringify(end.usage),
      usage_mismatch: end.mismatch.length > 0 ? storableJson(end.mismatch) : null,
      branch: end.branch,
      base: end.base,
      commit: end.commit,
      merge: end.merge,
      error_code: end.error?.code ?? null,
      error_message: end.error?.message ?? null,
      finished_at: end.at
    })
    .where('id', '=', id)
    .where('status', 'in', statesBefore(end.status))
  query =
    token === null ? query.where('token', 'is', null) : query.where('token', '=', String(token))
  return (await query.executeTakeFirst()).numUpdatedRows === 1n
}

export async function updateCancelRequested(db: Db, id: JobId, at: Date): Promise<void> {
  await db
    .updateTable('jobs')
    .set((of) => ({ cancel_requested_at: of.fn.coalesce('cancel_requested_at', of.val(at)) }))
    .where('id', '=', id)
    .where('status', 'in', UNFINISHED)
    .execute()
}

export async function updateBasedOn(db: Db, id: JobId, below: JobId): Promise<void> {
  await db.updateTable('jobs').set({ based_on: below }).where('id', '=', id).execute()
}
