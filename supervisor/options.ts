import type { Clock } from '#kernel/clock.ts'
import type { ProjectId } from '#kernel/ids.ts'
import { LIMITS, type AgentLimits } from '#kernel/limits.ts'
import type { Log } from '#kernel/log.ts'
import type { EndReason } from './agent-end.ts'
import type { EgressSettings } from './egress/egress.ts'
import type { RefusalReason } from './egress/refusals.ts'
import type { RoomService } from './room/room.ts'

/** A model provider that an agent may use: normally our gateway, with a token instead of the real key. */
export interface ProviderAccess {
  readonly id: 'anthropic' | 'openai-compatible'
  readonly baseUrl?: string | undefined
  readonly apiKey?: string | undefined
  /** The address of the provider itself, when `baseUrl` is that of a gateway. */
  readonly upstreamUrl?: string | undefined
  readonly models: readonly {
    readonly id: string
    readonly contextTokens: number
    readonly outputTokens: number
  }[]
}

/** Timeouts for a silent provider, which would otherwise block a turn: until its headers, and between chunks. */
export interface ModelTimeouts {
  readonly headerMs: number
  /**
   * For a provider without our gateway in front of it. Kilo counts this time while a tool runs, too, and so aborts
   * commands, sub-agents and questions that take longer.
   */
  readonly chunkMs?: number
}

export const MODEL_TIMEOUTS: ModelTimeouts = { headerMs: 60_000 }

/** How long an agent may take for each step: the values of `LIMITS`, or shorter ones in tests. */
export interface AgentTimes {
  /** For a process that makes no progress. */
  readonly startMs: number
  readonly startMaxMs: number
  readonly stopMs: number
  readonly requestMs: number
  readonly streamSilenceMs: number
  readonly streamRenewMs: number
  readonly healthMs: number
  /** An agent that has been idle for this long is asked before it is used, at first with the timeout `probeMs`. */
  readonly probeAfterMs: number
  readonly probeMs: number
  /** After too many failures within the window, the agent is broken: no start is tried for `brokenMs`. */
  readonly failureWindowMs: number
  readonly brokenMs: number
  /** Until Kilo is asked about a turn that has not begun, and between two such requests. */
  readonly turnOpenMs: number
  readonly turnOpenMaxMs: number
  readonly turnSilenceMs: number
  /** For a turn that Kilo calls busy, without an event, a tool that runs or a person who is asked. */
  readonly turnProgressMs: number
  readonly cancelGraceMs: number
  /** A session that is busy for longer than this after the end of its turn costs the agent its life. */
  readonly idleWaitMs: number
}

export const AGENT_TIMES: AgentTimes = {
  startMs: LIMITS.agentStartMs,
  startMaxMs: LIMITS.agentStartMaxMs,
  stopMs: LIMITS.agentStopMs,
  requestMs: LIMITS.agentRequestMs,
  streamSilenceMs: LIMITS.agentStreamSilenceMs,
  streamRenewMs: LIMITS.agentStreamRenewMs,
  healthMs: LIMITS.agentHealthMs,
  probeAfterMs: LIMITS.agentProbeAfterMs,
  probeMs: LIMITS.agentProbeMs,
  failureWindowMs: LIMITS.agentFailureWindowMs,
  brokenMs: LIMITS.agentBrokenMs,
  turnOpenMs: LIMITS.turnOpenMs,
  turnOpenMaxMs: LIMITS.turnOpenMaxMs,
  turnSilenceMs: LIMITS.turnSilenceMs,
  turnProgressMs: LIMITS.turnProgressMs,
  cancelGraceMs: LIMITS.cancelGraceMs,
  idleWaitMs: LIMITS.sessionIdleWaitMs
}

/** The countable facts about agents. */
export type SupervisorMetric =
  | { readonly kind: 'started'; readonly durationMs: number }
  | { readonly kind: 'start-failed' }
  | { readonly kind: 'stopped' }
  | { readonly kind: 'crashed' }
  | { readonly kind: 'stalled' }
  /** Kilo did not answer a health request in time. */
  | { readonly kind: 'probe-failed' }
  /** An agent has ended, or could not be started. */
  | { readonly kind: 'ended'; readonly reason: EndReason }
  /** A project's second or later start. */
  | { readonly kind: 'restarted' }
  | { readonly kind: 'broken' | 'repaired' }
  /** An agent of an earlier server still ran when this one started. */
  | { readonly kind: 'orphan' }
  | { readonly kind: 'reconnected' }
  /** A session was busy after the end of its turn. */
  | { readonly kind: 'session-aborted' }
  /** A message of the stream was not readable, or one is missing. */
  | { readonly kind: 'event-garbage' }
  | { readonly kind: 'event-gap' }
  | { readonly kind: 'text-not-exact' }
  | { readonly kind: 'unrecognised'; readonly name: string }
  /** A room was ended, or its turn failed, because of this limit. */
  | { readonly kind: 'limit-exceeded'; readonly limit: string }
  /** Stopped after its turn, above the soft limit of memory. */
  | { readonly kind: 'recycled' }
  | { readonly kind: 'egress-refused'; readonly reason: RefusalReason }

export interface SupervisorOptions {
  /** The path of the native `kilo`; undefined selects that of the installed platform package. */
  readonly kiloBin: string | undefined
  /** Holds one folder per project, with its agent's own HOME, XDG_* and TMPDIR. */
  readonly agentsDir: string
  readonly isolation: 'auto' | 'bubblewrap' | 'process'
  /** Starts agents without a room also on repositories that contain settings for Kilo. */
  readonly trustRepositories?: boolean
  /** Folders in which bubblewrap is searched beside Kilo's own; the default is those of PATH, then /usr/bin. */
  readonly bubblewrapFolders?: readonly string[]
  readonly agentsMax: number
  /** What all agents may use together; the default is no limit. */
  readonly agentsMemoryBytes?: number
  /** Of each room; the default is `AGENT_LIMITS`. */
  readonly limits?: Partial<AgentLimits>
  readonly idleStopMs: number
  /** Called at each start, so that every project can have a token of its own. */
  readonly providersFor: (projectId: ProjectId) => readonly ProviderAccess[]
  /** Takes the connections of agents that have no network to the address of their providers. Undefined: that address itself. */
  readonly modelService?: RoomService
  /** The way out of rooms without a network. Undefined: there is none. */
  readonly egress?: EgressSettings
  /** The agent with these providers has exited: its tokens may be revoked. */
  readonly onAgentExited?: (providers: readonly ProviderAccess[]) => void
  /** `provider/model`: for Kilo's own requests, such as titles. */
  readonly defaultModel: string
  readonly log: Log
  readonly clock: Clock
  readonly times?: Partial<AgentTimes>
  readonly modelTimeouts?: Partial<ModelTimeouts>
  /** How often Kilo retries a request to a failing provider; at least 1. */
  readonly modelRetriesMax?: number
  readonly onMetric?: (metric: SupervisorMetric) => void
}
