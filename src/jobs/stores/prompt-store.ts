import type { Selectable } from 'kysely'
import type { Db, Schema } from '#db'
import type { Question } from '#kernel/agent-events.ts'
import type { JobId, SessionId } from '#kernel/ids.ts'
import { storableJson } from '#kernel/text.ts'
import type { PermissionAnswer, QuestionAnswer } from '../job-schemas.ts'

export interface PermissionBody {
  readonly kind: string
  readonly patterns: readonly string[]
  readonly title: string
}
export interface QuestionBody {
  readonly questions: readonly Question[]
}

type Row = Selectable<Schema['job_prompts']>

/** A permission or a question that the agent waits for. */
export type Prompt = Pick<Row, 'id' | 'job_id' | 'expires_at' | 'answered_by' | 'resolved_at'> &
  (
    | { kind: 'permission'; body: PermissionBody; answer: PermissionAnswer | null }
    | { kind: 'question'; body: QuestionBody; answer: QuestionAnswer | null }
  )

const promptsOf = (rows: Row[]) => rows as unknown as Prompt[]

/** Idempotent: false when it is stored already, since the agent may repeat it after a reconnect. */
export async function insertPrompt(
  db: Db,
  jobId: JobId,
  prompt: { id: string; expiresAt: Date } & (
    { kind: 'permission'; body: PermissionBody } | { kind: 'question'; body: QuestionBody }
  )
): Promise<boolean> {
  const { numInsertedOrUpdatedRows } = await db
    .insertInto('job_prompts')
    .values({
      id: prompt.id,
      job_id: jobId,
      kind: prompt.kind,
      body: storableJson(prompt.body),
      expires_at: prompt.expiresAt
    })
    .onConflict((conflict) => conflict.column('id').doNothing())
    .executeTakeFirst()
  return numInsertedOrUpdatedRows === 1n
}

/** The prompts that the agent still waits for, oldest first. */
export async function readOpenPrompts(db: Db, jobIds: readonly JobId[]): Promise<Prompt[]> {
  if (jobIds.length === 0) return []
  const rows = await db
    .selectFrom('job_prompts')
    .selectAll()
    .where('job_id', 'in', jobIds)
    .where('resolved_at', 'is', null)
    .orderBy('expires_at')
    .execute()
  return promptsOf(rows)
}

export async function readPrompt(db: Db, jobId: JobId, id: string): Promise<Prompt | undefined> {
  const row = await db
    .selectFrom('job_prompts')
    .selectAll()
    .where('job_id', '=', jobId)
    .where('id', '=', id)
    .executeTakeFirst()
  return row && promptsOf([row])[0]
}

/**
 * Stores the first answer: false when there is one already, or the agent no longer waits. The policy answers at the
 * prompt's deadline, which the job measures itself: `expires_at` is for people, whose clock may be set meanwhile.
 */
export async function updatePromptAnswer(
  db: Db,
  id: string,
  given: { readonly answer: PermissionAnswer | QuestionAnswer; readonly by: string },
  at: Date
): Promise<boolean> {
  const done = await db
    .updateTable('job_prompts')
    .set({ answer: storableJson(given.answer), answered_by: given.by, answered_at: at })
    .where('id', '=', id)
    .where('answer', 'is', null)
    .where('resolved_at', 'is', null)
    .executeTakeFirst()
  return done.numUpdatedRows === 1n
}

/** In `answered_by`: no person answered before the deadline. */
export const POLICY = 'policy'

export async function updatePromptResolved(db: Db, id: string, now: Date): Promise<void> {
  await db.updateTable('job_prompts').set({ resolved_at: now }).where('id', '=', id).execute()
}

/** The job has ended: the agent waits for none of its prompts any more. */
export async function closePrompts(db: Db, jobId: JobId, now: Date): Promise<void> {
  await db
    .updateTable('job_prompts')
    .set({ resolved_at: now })
    .where('job_id', '=', jobId)
    .where('resolved_at', 'is', null)
    .execute()
}

/** The permissions that a person has granted for the rest of this conversation. */
export async function readStandingPermissions(
  db: Db,
  sessionId: SessionId
): Promise<PermissionBody[]> {
  const rows = await db
    .selectFrom('job_prompts')
    .innerJoin('jobs', 'jobs.id', 'job_prompts.job_id')
    .selectAll('job_prompts')
    .where('jobs.session_id', '=', sessionId)
    .where('job_prompts.kind', '=', 'permission')
    .where('job_prompts.answer', 'is not', null)
    .execute()
  return promptsOf(rows).flatMap((prompt) =>
    prompt.kind === 'permission' && prompt.answer?.reply === 'always' ? [prompt.body] : []
  )
}
