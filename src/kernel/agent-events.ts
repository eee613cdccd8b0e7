/** Tokens of one model request, as the provider counted them. `input` excludes tokens from the cache. */
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

/** The events of an agent that carries out a prompt, independent of Kilo's own protocol. */
export type AgentEvent =
  | { readonly type: 'turn.opened' }
  /** `text` is the new piece of this part: all pieces of a part, joined, are the part. */
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
      /** The input or output is longer than it is here. */
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
  /** The agent does not wait for this answer any more: it was given, or the request was withdrawn. */
  | { readonly type: 'prompt.closed'; readonly promptId: string }
  /** One finished model request. A repeated report of the same step has the same `stepId`. */
  | {
      readonly type: 'usage.reported'
      readonly stepId: string
      readonly agentSessionId: string
      readonly model: string
      readonly usage: Usage
      readonly costUsd: number
    }
  /** A notice for the user who follows the job: a retry, a compaction. */
  | { readonly type: 'notice'; readonly text: string }
  | { readonly type: 'turn.finished'; readonly outcome: TurnOutcome }
  /** An event of the agent that is not in our table: counted by name. */
  | { readonly type: 'unrecognised'; readonly name: string }

/** How a turn ended. The failure of a provider carries its HTTP status if there was one. */
export type TurnOutcome =
  | { readonly kind: 'completed' }
  | { readonly kind: 'interrupted' }
  | {
      readonly kind: 'failed'
      readonly reason: 'model_error' | 'model_unreachable' | 'model_rate_limited'
      readonly message: string
      readonly status?: number
    }
