import { statusOf, type KiloClient, type SessionUsage } from '../kilo/client.ts'
import type { TurnHost } from '../turn/host.ts'
import { AgentFailure } from '../agent-failure.ts'

/** What an agent is asked outside of its turn's events. */
export interface AgentRequests {
  openSession(title: string): Promise<string>
  hasSession(agentSessionId: string): Promise<boolean>
  answerPermission(permissionId: string, reply: 'once' | 'reject', message?: string): Promise<void>
  /** One list of chosen labels a question; null says that nobody will answer. */
  answerQuestion(questionId: string, answers: readonly (readonly string[])[] | null): Promise<void>
  /** What the session and its sub-agents have used, as Kilo remembers it. */
  sessionUsage(agentSessionId: string): Promise<SessionUsage>
}

export interface AskedOf extends Pick<TurnHost, 'redact' | 'endedWithin'> {
  readonly client: KiloClient
  /** Why it is of no use any more, if it is not. */
  readonly ending: () => AgentFailure | undefined
}

/** Requests that fail because the process is gone say so, with the job failure that it is. */
export function createAgentRequests(kilo: AskedOf): AgentRequests {
  const { client } = kilo

  const orWhyGone = async <T>(answer: Promise<T>): Promise<T> => {
    try {
      return await answer
    } catch (error) {
      if (statusOf(error) !== undefined) throw error
      await kilo.endedWithin()
      const words = kilo.redact((error as Error).message)
      throw kilo.ending() ?? new AgentFailure('stalled', `Kilo did not answer: ${words}`)
    }
  }

  /** What Kilo does not wait for any more has been answered. */
  const unlessAnswered = async (reply: Promise<unknown>): Promise<void> => {
    await orWhyGone(reply).catch((error: unknown) => {
      if (statusOf(error) !== 404) throw error
    })
  }

  return {
    openSession: (title) => orWhyGone(client.createSession(title)),
    hasSession: (id) => orWhyGone(client.hasSession(id)),
    answerPermission: (id, reply, message) =>
      unlessAnswered(client.replyPermission(id, reply, message)),
    answerQuestion: (id, answers) =>
      unlessAnswered(answers ? client.replyQuestion(id, answers) : client.rejectQuestion(id)),
    sessionUsage: (id) => orWhyGone(client.usage(id))
  }
}
