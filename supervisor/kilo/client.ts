import { createKiloClient } from '@kilocode/sdk/v2/client'
import type { Usage } from '#kernel/agent-events.ts'
import {
  guard,
  EVENTS,
  isHistoryEvent,
  type HistoryEvent,
  type PermissionAsked,
  type QuestionAsked
} from './schemas.ts'

export interface KiloPrompt {
  readonly sessionId: string
  readonly mode: string
  readonly providerId: string
  readonly modelId: string
  readonly text: string
  readonly activeFile: string | undefined
}

export interface KiloSession {
  readonly id: string
  readonly parentID?: string
}

export interface SessionUsage {
  readonly steps: number
  readonly usage: Usage
  readonly costUsd: number
}

/** Everything that we ask of a running Kilo, each within `requestMs`. A refusal is an Error; `statusOf` tells it from no answer at all. */
export type KiloClient = ReturnType<typeof createClient>

const isPermission = guard(EVENTS['permission.asked'])
const isQuestion = guard(EVENTS['question.asked'])

const SESSIONS_MAX = 100_000

/** With which status Kilo refused; undefined when it did not answer. */
export const statusOf = (error: unknown): number | undefined =>
  ((error as Error).cause as { status?: number } | undefined)?.status

export const authorizationOf = (password: string) => `Basic ${btoa(`kilo:${password}`)}`

export function createClient(baseUrl: string, password: string, requestMs: number) {
  const authorization = authorizationOf(password)
  const kilo = createKiloClient({
    baseUrl,
    headers: { authorization },
    fetch: (input, init) => fetch(input, init)
  })
  /** Fails rather than waits; its value is the body of the answer. */
  const asked = () => ({ throwOnError: true, signal: AbortSignal.timeout(requestMs) }) as const

  return {
    /** Whether it answers those who know the password, and nobody else. */
    async isGuarded(): Promise<boolean> {
      const url = `${baseUrl}/global/health`
      const signal = AbortSignal.timeout(requestMs)
      const stranger = await fetch(url, { signal })
      await stranger.body?.cancel()
      return stranger.status === 401
    },
    async version(ms = requestMs): Promise<string> {
      const { data } = await kilo.global.health({ ...asked(), signal: AbortSignal.timeout(ms) })
      return data.version
    },
    async warnings(): Promise<readonly string[]> {
      const { data } = await kilo.config.warnings({}, asked())
      return data.map(({ message }) => message)
    },
    async agents() {
      return (await kilo.app.agents({}, asked())).data
    },

    async createSession(title: string): Promise<string> {
      return (await kilo.session.create({ title }, asked())).data.id
    },
    async hasSession(sessionID: string): Promise<boolean> {
      const { error, response } = await kilo.session.get(
        { sessionID },
        { signal: AbortSignal.timeout(requestMs) }
      )
      if (error === undefined) return true
      if (response?.status === 404 || response?.status === 400) return false
      throw new Error(`Kilo could not look up a session: ${response?.status ?? 'no answer'}`)
    },
    async prompt(prompt: KiloPrompt): Promise<void> {
      await kilo.session.promptAsync(
        {
          sessionID: prompt.sessionId,
          agent: prompt.mode,
          model: { providerID: prompt.providerId, modelID: prompt.modelId },
          ...(prompt.activeFile ? { editorContext: { activeFile: prompt.activeFile } } : {}),
          parts: [{ type: 'text', text: prompt.text }]
        },
        asked()
      )
    },
    abort: (sessionID: string) => kilo.session.abort({ sessionID }, asked()),
    /** How those sessions are that are not idle. */
    async statuses(): Promise<ReadonlyMap<string, unknown>> {
      const { data } = await kilo.session.status({}, asked())
      return new Map(Object.entries(data))
    },
    async sessions(): Promise<readonly KiloSession[]> {
      const { data } = await kilo.session.list({ limit: SESSIONS_MAX }, asked())
      return data.map(({ id, parentID }) => (parentID === undefined ? { id } : { id, parentID }))
    },
    /** What changed durably after these numbers, in the order in which it happened; all of what is not listed. */
    async history(after: Record<string, number>): Promise<readonly HistoryEvent[]> {
      const { data } = await kilo.sync.history.list({ body: after }, asked())
      return (data as readonly unknown[])
        .filter(isHistoryEvent)
        .toSorted((a, b) => (a.id < b.id ? -1 : 1))
    },
    async todos(sessionID: string): Promise<readonly unknown[]> {
      return (await kilo.session.todo({ sessionID }, asked())).data
    },
    async usage(sessionID: string): Promise<SessionUsage> {
      const { data } = await kilo.kilocode.sessionModelUsage({ sessionID }, asked())
      const { steps, cost, tokens } = data.totals
      const { input, output, reasoning, cache } = tokens
      const usage = { input, output, reasoning, cacheRead: cache.read, cacheWrite: cache.write }
      return { steps, usage, costUsd: cost }
    },

    async permissions(): Promise<readonly PermissionAsked[]> {
      const { data } = await kilo.permission.list({}, asked())
      return (data as readonly unknown[]).filter(isPermission)
    },
    /** Never `always`: Kilo would write that down for good. */
    replyPermission: (requestID: string, reply: 'once' | 'reject', message?: string) =>
      kilo.permission.reply(
        { requestID, reply, ...(message === undefined ? {} : { message }) },
        asked()
      ),
    async questions(): Promise<readonly QuestionAsked[]> {
      const { data } = await kilo.question.list({}, asked())
      return (data as readonly unknown[]).filter(isQuestion)
    },
    replyQuestion: (requestID: string, answers: readonly (readonly string[])[]) =>
      kilo.question.reply({ requestID, answers: answers.map((answer) => [...answer]) }, asked()),
    rejectQuestion: (requestID: string) => kilo.question.reject({ requestID }, asked()),
    async networkWaits(): Promise<readonly { id: string; sessionID: string }[]> {
      return (await kilo.network.list({}, asked())).data
    },
    retryNetwork: (requestID: string) => kilo.network.reply({ requestID }, asked()),
    giveUpNetwork: (requestID: string) => kilo.network.reject({ requestID }, asked())
  }
}
