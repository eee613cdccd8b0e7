import { AppError } from '#kernel/errors.ts'
import type { UserId } from '#kernel/ids.ts'
import { inboxOf } from '#ports/bus.ts'
import type { JobDeps } from '../job-deps.ts'
import type { PermissionAnswer, QuestionAnswer } from '../job-schemas.ts'
import { ownJob } from '../stores/job-read-store.ts'
import { readPrompt, updatePromptAnswer, type Prompt } from '../stores/prompt-store.ts'

/**
 * Writes a person's answer down and rings for the job's runner. The first answer counts: a second one, one to
 * a prompt that has timed out, and one to a prompt of another job are `not_found`.
 */
export async function answerPrompt(
  deps: Pick<JobDeps, 'db' | 'bus' | 'clock'>,
  userId: UserId,
  jobId: string,
  promptId: string,
  given:
    | { readonly kind: 'permission'; readonly answer: PermissionAnswer }
    | { readonly kind: 'question'; readonly answer: QuestionAnswer }
): Promise<void> {
  const job = await ownJob(deps.db, userId, jobId)
  const prompt = await readPrompt(deps.db, job.id, promptId)
  if (prompt?.kind !== given.kind) {
    throw new AppError('not_found', `This job has no ${given.kind} ${promptId}`)
  }
  if (given.kind === 'question') refuseMismatch(prompt, given.answer)

  const answered = { answer: given.answer, by: userId }
  if (!(await updatePromptAnswer(deps.db, promptId, answered, deps.clock.now()))) {
    throw new AppError('not_found', `The ${given.kind} ${promptId} does not wait for an answer`)
  }
  deps.bus.ring(inboxOf(job.id))
}

function refuseMismatch(prompt: Prompt, answer: QuestionAnswer): void {
  if (prompt.kind !== 'question' || !('answers' in answer)) return
  const asked = prompt.body.questions.length
  if (answer.answers.length !== asked) {
    throw new AppError('invalid_request', `${asked} answers are wanted, one a question`)
  }
}
