import type { AgentEvent } from '#kernel/agent-events.ts'
import type { MessageInfo, SessionStatus } from './schemas.ts'
import type { Redact } from '../redact.ts'

/** Notices for the user who follows the job, each once. */
export interface Notices {
  retry(status: SessionStatus): AgentEvent | undefined
  /** A message may be the summary with which a long conversation continues. */
  summary(info: MessageInfo): AgentEvent | undefined
}

export function createNotices(redact: Redact, now: () => Date): Notices {
  const emitted = new Set<string>()
  const once = (key: string, text: () => string): AgentEvent | undefined => {
    if (emitted.has(key)) return undefined
    emitted.add(key)
    return { type: 'notice', text: text() }
  }

  return {
    retry({ attempt, message, next = 0 }) {
      // Attempt 0 follows a wait for the network, which has a notice of its own.
      if (!attempt) return undefined
      return once(`retry ${attempt} ${next}`, () => {
        const seconds = Math.max(0, (next - now().getTime()) / 1000).toFixed(0)
        const answer = redact(message ?? 'nothing')
        return `The model answered “${answer}”; trying again in ${seconds} s.`
      })
    },
    summary(info) {
      const isComplete = info.time.completed !== undefined && info.error === undefined
      if (info.role !== 'assistant' || info.summary !== true || !isComplete) return undefined
      return once(`summary ${info.id}`, () => 'The conversation became long and was summarised.')
    }
  }
}
