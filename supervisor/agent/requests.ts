import { AgentFailure } from '../agent-failure.ts'
import { statusOf, type KiloClient, type SessionUsage } from '../kilo/client.ts'
import type { TurnHost } from '../turn/host.ts'
import { createSpareSession } from './spare-session.ts'

/** The requests to an agent outside of a turn's events. */
export interface AgentRequests {
  /** A conversation without messages. */
  openSession(): Promise<string>
  hasSession(agentSessionId: string): Promise<boolean>
  answerPermission(permissionId: string, reply: 'once' | 'reject', message?: string): Promise<void>
  /** One list of chosen labels per question; null rejects the question without an answer. */
  answerQuestion(questionId: string, answers: readonly (readonly string[])[] | null): Promise<void>
  /** What the session and its sub-agents have used, according to Kilo. */
  sessionUsage(agentSessionId: string): Promise<SessionUsage>
}

export interface AgentRequestsOptions extends Pick<TurnHost, 'redact' | 'endedWithin' | 'log'> {
  readonly client: Pick<
    KiloClient,
    | 'createSession'
    | 'hasSession'
    | 'replyPermission'
    | 'replyQuestion'
    | 'rejectQuestion'
    | 'usage'
  >
  /** Why the agent is not usable any more; undefined as long as it is. */
  readonly failure: () => AgentFailure | undefined
}

/** A request that Kilo does not respond to rejects with the failure of the agent. */
export function createAgentRequests(
  agent: AgentRequestsOptions
): AgentRequests & { prepareSession(): void } {
  const { client } = agent
  const spare = createSpareSession(client.createSession, agent.log)

  const orFailure = async <T>(response: Promise<T>): Promise<T> => {
    try {
      return await response
    } catch (error) {
      if (statusOf(error) !== undefined) throw error
      await agent.endedWithin()
      const detail = agent.redact((error as Error).message)
      throw agent.failure() ?? new AgentFailure('stalled', `Kilo did not respond: ${detail}`)
    }
  }

  /** 404: Kilo does not wait for this answer any more. */
  const unlessAnswered = async (reply: Promise<unknown>): Promise<void> => {
    await orFailure(reply).catch((error: unknown) => {
      if (statusOf(error) !== 404) throw error
    })
  }

  return {
    openSession: () => orFailure(spare.take()),
    prepareSession: spare.prepare,
    hasSession: (id) => orFailure(client.hasSession(id)),
    answerPermission: (id, reply, message) =>
      unlessAnswered(client.replyPermission(id, reply, message)),
    answerQuestion: (id, answers) =>
      unlessAnswered(answers ? client.replyQuestion(id, answers) : client.rejectQuestion(id)),
    sessionUsage: (id) => orFailure(client.usage(id))
  }
}
