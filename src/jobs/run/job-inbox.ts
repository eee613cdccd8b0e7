import type { Db } from '#db'
import type { Clock } from '#kernel/clock.ts'
import type { JobId } from '#kernel/ids.ts'
import type { Log } from '#kernel/log.ts'
import { inboxOf, type Bus } from '#ports/bus.ts'
import { readJob } from '../stores/job-read-store.ts'
import { readOpenPrompts, type Prompt } from '../stores/prompt-store.ts'

/** The rows are polled this often besides: a lost ring delays an answer and loses none. */
const POLL_MS = 2000
const FIRST_POLL_MS = 50

export interface InboxHandlers {
  onCancel(): void
  onAnswer(prompt: Prompt): Promise<void>
  onExpired(prompt: Prompt): Promise<void>
}

/**
 * The requests to a running job: to cancel it, and answers to its prompts. They are rows; the bell only triggers a poll.
 * Each prompt is handled once; handlers run serially.
 */
export function openInbox(
  deps: {
    readonly db: Db
    readonly bus: Bus
    readonly clock: Clock
    readonly log: Log
    readonly settings: { readonly promptAnswerMs: number }
  },
  jobId: JobId,
  handlers: InboxHandlers
): AsyncDisposable {
  const handled = new Set<string>()
  /** When each prompt was seen first, by the monotonic clock. */
  const seen = new Map<string, number>()
  let polling: Promise<void> | undefined
  let isStale = false

  const isExpired = ({ id }: Prompt) => {
    const nowMs = deps.clock.monotonicMs()
    const seenMs = seen.get(id) ?? nowMs
    seen.set(id, seenMs)
    return nowMs - seenMs >= deps.settings.promptAnswerMs
  }

  const handle = async (prompt: Prompt) => {
    const expired = isExpired(prompt)
    if (handled.has(prompt.id) || (prompt.answer === null && !expired)) return
    await (prompt.answer === null ? handlers.onExpired(prompt) : handlers.onAnswer(prompt))
    // Only after the handler: an answer that failed to reach the agent is retried by the next poll.
    handled.add(prompt.id)
  }

  const pollOnce = async () => {
    const job = await readJob(deps.db, jobId)
    if (job?.cancel_requested_at) handlers.onCancel()
    for (const prompt of await readOpenPrompts(deps.db, [jobId])) {
      // One answer that fails must not hold up the others; the next poll retries it.
      await handle(prompt).catch((err: unknown) =>
        deps.log.warn({ err, promptId: prompt.id }, 'failed to pass on an answer')
      )
    }
  }

  const poll = () => {
    isStale = true
    polling ??= (async () => {
      while (isStale) {
        isStale = false
        await pollOnce().catch((err: unknown) =>
          deps.log.warn({ err }, 'failed to read job requests')
        )
      }
      polling = undefined
    })()
  }

  const stopListening = deps.bus.listen(inboxOf(jobId), poll)
  const pollTimer = setInterval(poll, POLL_MS)
  // For requests from before the inbox listened; delayed, so as not to slow the job's first steps.
  const firstPoll = setTimeout(poll, FIRST_POLL_MS)

  return {
    async [Symbol.asyncDispose]() {
      stopListening()
      clearInterval(pollTimer)
      clearTimeout(firstPoll)
      await polling
    }
  }
}
