import { NO_USAGE_TOTALS, type UsageTotals } from '#kernel/frames.ts'
import { JOB_FAILURES, type JobFailureCode } from '#kernel/job-failures.ts'
import { microcredits, toCredits, ZERO } from '#kernel/money.ts'
import type { JobView } from '../job-schemas.ts'
import type { JobRow } from '../stores/job-store.ts'
import type { Prompt } from '../stores/prompt-store.ts'

const amount = (column: string | null) =>
  toCredits(column === null ? ZERO : microcredits(BigInt(column)))

const errorOf = ({ error_code: code, error_message: message }: JobRow): JobView['error'] =>
  code === null
    ? null
    : { code, message: message ?? '', retryable: JOB_FAILURES[code as JobFailureCode].retryable }

function pendingOf(prompts: readonly Prompt[]): JobView['pending'] {
  const waiting = prompts.filter(({ answer }) => answer === null)
  return {
    permissions: waiting.flatMap((prompt) =>
      prompt.kind === 'permission'
        ? [
            {
              permissionId: prompt.id,
              kind: prompt.body.kind,
              patterns: [...prompt.body.patterns],
              title: prompt.body.title,
              expiresAt: prompt.expires_at.toISOString()
            }
          ]
        : []
    ),
    questions: waiting.flatMap((prompt) =>
      prompt.kind === 'question'
        ? [
            {
              questionId: prompt.id,
              questions: structuredClone(prompt.body.questions) as never,
              expiresAt: prompt.expires_at.toISOString()
            }
          ]
        : []
    )
  }
}

/** A job as the contract shows it. `ahead` counts the project's jobs that come before it. */
export function viewOf(
  job: JobRow,
  facts: {
    readonly prompts: readonly Prompt[]
    readonly ahead: number | null
    readonly lastSeq: number
  }
): JobView {
  return {
    id: job.id,
    projectId: job.project_id,
    sessionId: job.session_id,
    status: job.status,
    text: job.text,
    mode: job.mode,
    model: job.model,
    branch: job.branch,
    commit: job.commit,
    basedOn: job.based_on,
    merge: job.merge,
    credits: {
      reserved: amount(job.reserved),
      charged: amount(job.charged),
      refunded: amount(job.refunded),
      ...(job.goodwill === null ? {} : { goodwill: job.goodwill })
    },
    usage: (job.usage as UsageTotals | null) ?? NO_USAGE_TOTALS,
    error: errorOf(job),
    pending: pendingOf(facts.prompts),
    position: facts.ahead,
    lastSeq: facts.lastSeq,
    createdAt: job.created_at.toISOString(),
    startedAt: job.started_at?.toISOString() ?? null,
    finishedAt: job.finished_at?.toISOString() ?? null
  }
}
