/** Tokens of one model request, as the provider counted them. `input` excludes tokens read from the cache. */
export interface Usage {
  readonly input: number
  readonly output: number
  readonly reasoning: number
  readonly cacheRead: number
  readonly cacheWrite: number
}

export const NO_USAGE: Usage = { input: 0, output: 0, reasoning: 0, cacheRead: 0, cacheWrite: 0 }

export const addUsage = (a: Usage, b: Usage): Usage => ({
  input: a.input + b.input,
  output: a.output + b.output,
  reasoning: a.reasoning + b.reasoning,
  cacheRead: a.cacheRead + b.cacheRead,
  cacheWrite: a.cacheWrite + b.cacheWrite
})

export interface TodoItem {
  readonly content: string
  readonly status: string
  readonly priority: string
}

export interface Question {
  readonly question: string
  readonly header: string
  readonly options: readonly { readonly label: string; readonly description: string }[]
  readonly multiple: boolean
}

export type ToolStatus = 'running' | 'completed' | 'error'

/** The events of an agent while it carries out a prompt, independent of Kilo's own event types. */
export type AgentEvent =
  | { readonly type: 'turn.opened' }
  /** `text` is appended to its part: the joined texts of a part are the whole part. */
  | {
      readonly type: 'text.appended'
      readonly source: 'assistant' | 'reasoning'
      readonly partId: string
      readonly text: string
    }
  /** `mayWrite`: files of the worktree may have changed. */
  | {
      readonly type: 'tool.updated'
      readonly callId: string
      readonly tool: string
      readonly status: ToolStatus
      readonly title: string
      readonly input?: unknown
      readonly output?: string
      /** Input or output was cut. */
      readonly truncated?: true
      readonly mayWrite: boolean
    }
  | { readonly type: 'todo.updated'; readonly items: readonly TodoItem[] }
  | {
      readonly type: 'permission.asked'
      readonly permissionId: string
      readonly kind: string
      readonly patterns: readonly string[]
      readonly title: string
    }
  | {
      readonly type: 'question.asked'
      readonly questionId: string
      readonly questions: readonly Question[]
    }
  /** The agent no longer waits for an answer to this prompt, whether it got one or not. */
  | { readonly type: 'prompt.closed'; readonly promptId: string }
  /** One finished model request. A step that is reported again has the same `stepId`. */
  | {
      readonly type: 'usage.reported'
      readonly stepId: string
      readonly agentSessionId: string
      readonly model: string
      readonly usage: Usage
      readonly costUsd: number
    }
  /** A message for users: a retry, a compaction. */
  | { readonly type: 'notice'; readonly text: string }
  | { readonly type: 'turn.finished'; readonly outcome: TurnOutcome }
  /** An event of the agent that this version does not know: counted by name. */
  | { readonly type: 'unrecognised'; readonly name: string }

/** How a turn ended. A provider's failure carries its HTTP status where there was one. */
export type TurnOutcome =
  | { readonly kind: 'completed' }
  | { readonly kind: 'interrupted' }
  | {
      readonly kind: 'failed'
      readonly reason: 'model_error' | 'model_unreachable' | 'model_rate_limited'
      readonly message: string
      readonly status?: number
    }
