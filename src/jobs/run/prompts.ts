import type { AgentEvent } from '#kernel/agent-events.ts'
import { JobFailure } from '#kernel/job-failures.ts'
import type { Agent } from '#supervisor'
import type { JobRun } from './run-context.ts'
import { isGranted } from './permission-policy.ts'
import {
  insertPrompt,
  POLICY,
  readPrompt,
  readStandingPermissions,
  updatePromptAnswer,
  updatePromptResolved,
  type PermissionBody,
  type Prompt
} from '../stores/prompt-store.ts'

type Asked<T extends AgentEvent['type']> = Extract<AgentEvent, { type: T }>

const deadline = (run: JobRun) =>
  new Date(run.deps.clock.now().getTime() + run.deps.settings.promptAnswerMs)

/** Allows what this conversation was granted already; asks a person about anything else. */
export async function askPermission(
  run: JobRun,
  agent: Agent,
  { permissionId, kind, patterns, title }: Asked<'permission.asked'>
): Promise<void> {
  const { db } = run.deps
  if (isGranted(await readStandingPermissions(db, run.job.session_id), { kind, patterns })) {
    return agent.answerPermission(permissionId, 'once')
  }

  const expiresAt = deadline(run)
  const body = { kind, patterns, title }
  const prompt = { id: permissionId, expiresAt, kind: 'permission', body } as const
  if (!(await insertPrompt(db, run.job.id, prompt))) return
  run.writer.write({
    type: 'job:permission',
    data: { permissionId, kind, patterns: [...patterns], title, expiresAt: expiresAt.toISOString() }
  })
}

export async function askQuestion(
  run: JobRun,
  { questionId, questions }: Asked<'question.asked'>
): Promise<void> {
  const expiresAt = deadline(run)
  const prompt = { id: questionId, expiresAt, kind: 'question', body: { questions } } as const
  if (!(await insertPrompt(run.deps.db, run.job.id, prompt))) return
  const plain = questions.map((question) => ({
    ...question,
    options: question.options.map((option) => ({ ...option }))
  }))
  run.writer.write({
    type: 'job:question',
    data: { questionId, questions: plain, expiresAt: expiresAt.toISOString() }
  })
}

/** Passes a person's answer on to the agent, and writes the frame that reports it. */
export async function passAnswer(run: JobRun, agent: Agent, prompt: Prompt): Promise<void> {
  const by = prompt.answered_by ?? POLICY
  if (prompt.kind === 'permission') {
    const reply = prompt.answer?.reply ?? 'reject'
    // Kilowatt itself remembers `always`: the agent would write it into its configuration for good.
    await agent.answerPermission(
      prompt.id,
      reply === 'reject' ? 'reject' : 'once',
      prompt.answer?.message
    )
    run.writer.write({
      type: 'job:permission-resolved',
      data: { permissionId: prompt.id, reply, by }
    })
    if (by === POLICY) run.unansweredPermission ??= unanswered(prompt.body)
  } else {
    const answers = prompt.answer && 'answers' in prompt.answer ? prompt.answer.answers : null
    await agent.answerQuestion(prompt.id, answers)
    run.writer.write({
      type: 'job:question-resolved',
      data: { questionId: prompt.id, answers, by }
    })
  }
  await updatePromptResolved(run.deps.db, prompt.id, run.deps.clock.now())
}

/** No answer came before the deadline: the policy refuses, and an unanswered permission fails the job. */
export async function refuseExpired(run: JobRun, agent: Agent, prompt: Prompt): Promise<void> {
  const { db, clock } = run.deps
  const answer = prompt.kind === 'permission' ? REJECT_PERMISSION : REJECT_QUESTION
  // An answer that was stored meanwhile counts instead, and the next poll passes it on.
  if (!(await updatePromptAnswer(db, prompt.id, { answer, by: POLICY }, clock.now()))) return

  await passAnswer(run, agent, { ...prompt, answer, answered_by: POLICY } as Prompt)
}

/** The agent no longer waits: when one permission is refused, Kilo withdraws the others that it had asked for. */
export async function closePrompt(run: JobRun, id: string): Promise<void> {
  const prompt = await readPrompt(run.deps.db, run.job.id, id)
  if (!prompt || prompt.answer !== null || prompt.resolved_at !== null) return

  await updatePromptResolved(run.deps.db, id, run.deps.clock.now())
  run.writer.write(
    prompt.kind === 'permission'
      ? {
          type: 'job:permission-resolved',
          data: { permissionId: id, reply: 'reject', by: POLICY }
        }
      : { type: 'job:question-resolved', data: { questionId: id, answers: null, by: POLICY } }
  )
}

const unanswered = ({ kind, title }: PermissionBody) =>
  new JobFailure(
    'permission_timeout',
    `the permission for ${kind} was not answered in time: ${title}`
  )

const REJECT_PERMISSION = { reply: 'reject' } as const
const REJECT_QUESTION = { reject: true } as const
