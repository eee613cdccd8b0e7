import type { Clock } from '#kernel/clock.ts'
import type { ProjectId } from '#kernel/ids.ts'
import { LIMITS } from '#kernel/limits.ts'
import type { Log } from '#kernel/log.ts'

/** A model provider that an agent may use: in the end one of ours, with a token instead of the real key. */
export interface ProviderAccess {
  readonly id: 'anthropic' | 'openai-compatible'
  readonly baseUrl?: string | undefined
  readonly apiKey?: string | undefined
  /** Where the provider itself is, when `baseUrl` is a gateway's. */
  readonly upstreamUrl?: string | undefined
  readonly models: readonly {
    readonly id: string
    readonly contextTokens: number
    readonly outputTokens: number
  }[]
}

/** A silent provider would hang a turn for ever: how long it may keep quiet before its headers, and within its answer. */
export interface ModelTimeouts {
  readonly headerMs: number
  /**
   * For a provider without our gateway before it. Kilo's watch runs on while a tool does, and ends commands, sub-agents
   * and questions that take longer than this.
   */
  readonly chunkMs?: number
}

export const MODEL_TIMEOUTS: ModelTimeouts = { headerMs: 60_000 }

/** How long an agent may take for each thing. The promises are in `LIMITS`; a test may be less patient. */
export interface AgentTimes {
  readonly startMs: number
  readonly stopMs: number
  readonly requestMs: number
  readonly streamSilenceMs: number
  readonly streamRenewMs: number
  readonly healthMs: number
  readonly turnOpenMs: number
  readonly turnSilenceMs: number
  readonly cancelGraceMs: number
}

export const AGENT_TIMES: AgentTimes = {
  startMs: LIMITS.agentStartMs,
  stopMs: LIMITS.agentStopMs,
  requestMs: LIMITS.agentRequestMs,
  streamSilenceMs: LIMITS.agentStreamSilenceMs,
  streamRenewMs: LIMITS.agentStreamRenewMs,
  healthMs: LIMITS.agentHealthMs,
  turnOpenMs: LIMITS.turnOpenMs,
  turnSilenceMs: LIMITS.turnSilenceMs,
  cancelGraceMs: LIMITS.cancelGraceMs
}

/** What is worth a number on a dashboard. */
export type SupervisorMetric =
  | { readonly kind: 'started'; readonly durationMs: number }
  | { readonly kind: 'start-failed' }
  | { readonly kind: 'stopped' }
  | { readonly kind: 'crashed' }
  | { readonly kind: 'stalled' }
  | { readonly kind: 'reconnected' }
  /** A message of the stream could not be read, or one is missing. */
  | { readonly kind: 'event-garbage' }
  | { readonly kind: 'event-gap' }
  | { readonly kind: 'text-not-exact' }
  | { readonly kind: 'unrecognised'; readonly name: string }

export interface SupervisorOptions {
  /** The native `kilo`; undefined means the one of the installed platform package. */
  readonly kiloBin: string | undefined
  /** One folder a project, with its agent's own HOME, XDG_* and TMPDIR. */
  readonly agentsDir: string
  readonly isolation: 'auto' | 'bubblewrap' | 'process'
  /** Folders in which bubblewrap is searched beside Kilo's own; the default is those of PATH, then /usr/bin. */
  readonly bubblewrapFolders?: readonly string[]
  readonly agentsMax: number
  readonly idleStopMs: number
  /** Asked at each start, so that every project can have a token of its own. */
  readonly providersFor: (projectId: ProjectId) => readonly ProviderAccess[]
  /** The agent that was given these is gone: its tokens are of no use to anybody. */
  readonly onAgentGone?: (providers: readonly ProviderAccess[]) => void
  /** `provider/model`: for what Kilo itself asks a model. */
  readonly defaultModel: string
  readonly log: Log
  readonly clock: Clock
  readonly times?: Partial<AgentTimes>
  readonly modelTimeouts?: Partial<ModelTimeouts>
  /** How often Kilo asks a failing provider again; at least 1. */
  readonly modelRetriesMax?: number
  readonly onMetric?: (metric: SupervisorMetric) => void
}
