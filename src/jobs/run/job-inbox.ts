import type { Db } from '#db'
import type { Clock } from '#kernel/clock.ts'
import type { JobId } from '#kernel/ids.ts'
import type { Log } from '#kernel/log.ts'
import { inboxOf, type Bus } from '#ports/bus.ts'
import { readJob } from '../stores/job-read-store.ts'
import { readOpenPrompts, type Prompt } from '../stores/prompt-store.ts'

/** Without the bell the rows are looked at this often: a missed ring delays an answer and loses none. */
const LOOK_ANYWAY_MS = 2000
const FIRST_LOOK_MS = 50

export interface InboxHandlers {
  onCancel(): void
  onAnswer(prompt: Prompt): Promise<void>
  onExpired(prompt: Prompt): Promise<void>
}

/**
 * Where people reach a running job: their wish to cancel and their answers are rows, and the bell says to
 * look. Each prompt is handled once; handlers are called one after the other.
 */
export function openInbox(
  deps: { readonly db: Db; readonly bus: Bus; readonly clock: Clock; readonly log: Log },
  jobId: JobId,
  handlers: InboxHandlers
): AsyncDisposable {
  const handled = new Set<string>()
  let looking: Promise<void> | undefined
  let lookAgain = false

  const handle = async (prompt: Prompt) => {
    const expired = prompt.expires_at <= deps.clock.now()
    if (handled.has(prompt.id) || (prompt.answer === null && !expired)) return
    await (prompt.answer === null ? handlers.onExpired(prompt) : handlers.onAnswer(prompt))
    // Only now: what could not be passed on is tried again at the next look.
    handled.add(prompt.id)
  }

  const lookOnce = async () => {
    const job = await readJob(deps.db, jobId)
    if (job?.cancel_requested_at) handlers.onCancel()
    for (const prompt of await readOpenPrompts(deps.db, [jobId])) {
      // One that cannot be passed on now must not keep the others waiting; the next look tries again.
      await handle(prompt).catch((err: unknown) =>
        deps.log.warn({ err, promptId: prompt.id }, 'answer could not be passed on')
      )
    }
  }

  const look = () => {
    lookAgain = true
    looking ??= (async () => {
      while (lookAgain) {
        lookAgain = false
        await lookOnce().catch((err: unknown) => deps.log.warn({ err }, 'desk could not look'))
      }
      looking = undefined
    })()
  }

  const stopListening = deps.bus.listen(inboxOf(jobId), look)
  const lookAnyway = setInterval(look, LOOK_ANYWAY_MS)
  // What was wished before we listened; not in the way of the job's first steps.
  const firstLook = setTimeout(look, FIRST_LOOK_MS)

  return {
    async [Symbol.asyncDispose]() {
      stopListening()
      clearInterval(lookAnyway)
      clearTimeout(firstLook)
      await looking
    }
  }
}
