import type { AgentEvent } from '#kernel/agent-events.ts'
import type { MessageInfo, SessionStatus } from './schemas.ts'
import type { Redact } from '../redact.ts'

/** What somebody who watches should know besides, each thing once. */
export interface Notices {
  retry(status: SessionStatus): AgentEvent | undefined
  /** A message may be the summary that a conversation goes on with. */
  summary(info: MessageInfo): AgentEvent | undefined
}

export function createNotices(redact: Redact, now: () => Date): Notices {
  const said = new Set<string>()
  const once = (thing: string, text: () => string): AgentEvent | undefined => {
    if (said.has(thing)) return undefined
    said.add(thing)
    return { type: 'notice', text: text() }
  }

  return {
    retry({ attempt, message, next = 0 }) {
      // The zeroth follows a wait for the network, of which a notice tells already.
      if (!attempt) return undefined
      return once(`retry ${attempt} ${next}`, () => {
        const seconds = Math.max(0, (next - now().getTime()) / 1000).toFixed(0)
        const words = redact(message ?? 'nothing')
        return `The model answered “${words}”; trying again in ${seconds} s.`
      })
    },
    summary(info) {
      const isWhole = info.time.completed !== undefined && info.error === undefined
      if (info.role !== 'assistant' || info.summary !== true || !isWhole) return undefined
      return once(`summary ${info.id}`, () => 'The conversation had become long and was summed up.')
    }
  }
}
