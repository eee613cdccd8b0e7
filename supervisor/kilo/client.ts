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

/** Every request to a running Kilo, each with the timeout `requestMs`. Rejects with an Error; `statusOf` tells a refusal from no response. */
export type KiloClient = ReturnType<typeof createClient>

const isPermission = guard(EVENTS['permission.asked'])
const isQuestion = guard(EVENTS['question.asked'])

const SESSIONS_MAX = 100_000

/** The HTTP status with which Kilo refused; undefined when it did not respond. */
export const statusOf = (error: unknown): number | undefined =>
  ((error as Error).cause as { status?: number } | undefined)?.status

export const authorizationOf = (password: string) => `Basic ${btoa(`kilo:${password}`)}`

export function createClient(
  baseUrl: string,
  password: string,
  requestMs: number,
  directory?: string,
  fetchKilo: (request: Request) => Promise<Response> = fetch
) {
  const authorization = authorizationOf(password)
  const kilo = createKiloClient({
    baseUrl,
    // Kilo does not start in the worktree.
    ...(directory === undefined ? {} : { directory }),
    headers: { authorization },
    fetch: (input, init) => fetchKilo(new Request(input, init))
  })
  /** Rejects on a refusal or a timeout; resolves with the body of the response. */
  const requestOptions = () =>
    ({ throwOnError: true, signal: AbortSignal.timeout(requestMs) }) as const

  return {
    /** Whether Kilo refuses a request without the password. */
    async isGuarded(): Promise<boolean> {
      const url = `${baseUrl}/global/health`
      const signal = AbortSignal.timeout(requestMs)
      const anonymous = await fetchKilo(new Request(url, { signal }))
      await anonymous.body?.cancel()
      return anonymous.status === 401
    },
    async version(ms = requestMs): Promise<string> {
      const { data } = await kilo.global.health({
        ...requestOptions(),
        signal: AbortSignal.timeout(ms)
      })
      return data.version
    },
    async warnings(): Promise<readonly string[]> {
      const { data } = await kilo.config.warnings({}, requestOptions())
      return data.map(({ message }) => message)
    },
    async agents() {
      return (await kilo.app.agents({}, requestOptions())).data
    },

    async createSession(title: string): Promise<string> {
      return (await kilo.session.create({ title }, requestOptions())).data.id
    },
    async hasSession(sessionID: string): Promise<boolean> {
      const { error, response } = await kilo.session.get(
        { sessionID },
        { signal: AbortSignal.timeout(requestMs) }
      )
      if (error === undefined) return true
      if (response?.status === 404 || response?.status === 400) return false
      throw new Error(`failed to look up a session: ${response?.status ?? 'no response'}`)
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
        requestOptions()
      )
    },
    abort: (sessionID: string) => kilo.session.abort({ sessionID }, requestOptions()),
    /** The status of each session that is not idle. */
    async statuses(): Promise<ReadonlyMap<string, unknown>> {
      const { data } = await kilo.session.status({}, requestOptions())
      return new Map(Object.entries(data))
    },
    async sessions(): Promise<readonly KiloSession[]> {
      const { data } = await kilo.session.list({ limit: SESSIONS_MAX }, requestOptions())
      return data.map(({ id, parentID }) => (parentID === undefined ? { id } : { id, parentID }))
    },
    /** The durable changes after these cursors, in their order; the whole history of a session without a cursor. */
    async history(after: Record<string, number>): Promise<readonly HistoryEvent[]> {
      const { data } = await kilo.sync.history.list({ body: after }, requestOptions())
      return (data as readonly unknown[])
        .filter(isHistoryEvent)
        .toSorted((a, b) => (a.id < b.id ? -1 : 1))
    },
    async todos(sessionID: string): Promise<readonly unknown[]> {
      return (await kilo.session.todo({ sessionID }, requestOptions())).data
    },
    async usage(sessionID: string): Promise<SessionUsage> {
      const { data } = await kilo.kilocode.sessionModelUsage({ sessionID }, requestOptions())
      const { steps, cost, tokens } = data.totals
      const { input, output, reasoning, cache } = tokens
      const usage = { input, output, reasoning, cacheRead: cache.read, cacheWrite: cache.write }
      return { steps, usage, costUsd: cost }
    },

    async permissions(): Promise<readonly PermissionAsked[]> {
      const { data } = await kilo.permission.list({}, requestOptions())
      return (data as readonly unknown[]).filter(isPermission)
    },
    /** Never `always`: Kilo would write that into its configuration file. */
    replyPermission: (requestID: string, reply: 'once' | 'reject', message?: string) =>
      kilo.permission.reply(
        { requestID, reply, ...(message === undefined ? {} : { message }) },
        requestOptions()
      ),
    async questions(): Promise<readonly QuestionAsked[]> {
      const { data } = await kilo.question.list({}, requestOptions())
      return (data as readonly unknown[]).filter(isQuestion)
    },
    replyQuestion: (requestID: string, answers: readonly (readonly string[])[]) =>
      kilo.question.reply(
        { requestID, answers: answers.map((answer) => [...answer]) },
        requestOptions()
      ),
    rejectQuestion: (requestID: string) => kilo.question.reject({ requestID }, requestOptions()),
    async networkWaits(): Promise<readonly { id: string; sessionID: string }[]> {
      return (await kilo.network.list({}, requestOptions())).data
    },
    retryNetwork: (requestID: string) => kilo.network.reply({ requestID }, requestOptions()),
    rejectNetwork: (requestID: string) => kilo.network.reject({ requestID }, requestOptions())
  }
}
