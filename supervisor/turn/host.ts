import type { Clock } from '#kernel/clock.ts'
import type { Log } from '#kernel/log.ts'
import type { AgentFailure } from '../agent-failure.ts'
import type { KiloClient } from '../kilo/client.ts'
import type { RelativePath } from '../kilo/paths.ts'
import type { KiloPayload } from '../kilo/schemas.ts'
import type { AgentTimes, ProviderAccess, SupervisorMetric } from '../options.ts'
import type { Redact } from '../redact.ts'
import type { SequenceTracker } from '../stream/sequence.ts'

/** One prompt for an agent. */
export interface AgentTurn {
  readonly agentSessionId: string
  readonly mode: string
  /** `provider/model`. */
  readonly model: string
  readonly text: string
  /** Sent with each model request of this turn, in the header `x-kilowatt-turn`. */
  readonly token?: string | undefined
  /** The file that the user has open: Kilo names it to the model. */
  readonly currentFilePath?: string | undefined
}

/** Receives the events of one Kilo. */
export interface Listener {
  frame(payload: KiloPayload): void
  /** Frames may be missing from here on, until `catchUp` has resolved. */
  gapOpened(): void
  /** Reads the missed events; when it rejects, the stream is opened again. */
  catchUp(): Promise<void>
  /** The process has exited, or is going to be killed. */
  exited(failure: AgentFailure): void
}

export interface RefusedConnection {
  readonly host: string
  /** One sentence for the user. */
  readonly text: string
}

/** What a turn needs of the agent that carries it out. */
export interface TurnHost {
  readonly client: KiloClient
  readonly sequence: SequenceTracker
  readonly providers: readonly ProviderAccess[]
  readonly relative: RelativePath
  readonly times: AgentTimes
  readonly redact: Redact
  readonly log: Log
  readonly clock: Clock
  readonly onMetric: (metric: SupervisorMetric) => void
  /** The name under which an unrecognised event is counted. */
  readonly nameUnrecognised: (name: string) => string
  listen(listener: Listener): () => void
  /** Calls the listener for each connection out of the room that the egress proxy refuses. */
  onEgressRefused(listener: (refused: RefusedConnection) => void): () => void
  /** How the process exited, if it exits within a moment: a better explanation than a request that failed. */
  endedWithin(): Promise<string | undefined>
  /** Kills the whole process tree: it has stalled, or it does not stop although its turn was cancelled. */
  kill(reason: 'stalled' | 'cancelled'): Promise<void>
}
