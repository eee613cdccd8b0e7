import { AppError } from '#kernel/errors.ts'
import type { UserId } from '#kernel/ids.ts'
import { isVisible } from '#kernel/text.ts'
import { inboxOf } from '#ports/bus.ts'
import type { ApiDeps } from '../job-deps.ts'
import type { PermissionAnswer, QuestionAnswer } from '../job-schemas.ts'
import { ownJob } from '../stores/job-read-store.ts'
import { readPrompt, updatePromptAnswer, type Prompt } from '../stores/prompt-store.ts'

/**
 * Stores a person's answer and rings for the job's inbox. The first answer counts: a second one, also after that of the policy,
 * and one to a prompt of another job are refused with `not_found`.
 */
export async function answerPrompt(
  deps: Pick<ApiDeps, 'db' | 'bus' | 'clock'>,
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
    throw new AppError('not_found', `The ${given.kind} ${promptId} is not waiting for an answer`)
  }
  deps.bus.ring(inboxOf(job.id))
}

function refuseMismatch(prompt: Prompt, answer: QuestionAnswer): void {
  if (prompt.kind !== 'question' || !('answers' in answer)) return
  const { questions } = prompt.body
  if (answer.answers.length !== questions.length) {
    throw new AppError('invalid_request', `Expected ${questions.length} answers, one per question`)
  }
  for (const [at, { multiple }] of questions.entries()) {
    const chosen = answer.answers[at]?.filter(isVisible).length ?? 0
    if (chosen === 0) {
      throw new AppError('invalid_request', `The answer to question ${at + 1} is empty`)
    }
    if (chosen > 1 && !multiple) {
      throw new AppError('invalid_request', `Question ${at + 1} takes one answer`)
    }
  }
}
