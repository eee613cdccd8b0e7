import type { Log } from '#kernel/log.ts'
import type { SequenceTracker } from '../stream/sequence.ts'
import type { KiloClient } from '../kilo/client.ts'
import type { RelativePath } from '../kilo/paths.ts'
import type { KiloPayload } from '../kilo/schemas.ts'
import type { AgentTimes, ProviderAccess, SupervisorMetric } from '../options.ts'
import type { Redact } from '../redact.ts'
import type { AgentFailure } from '../agent-failure.ts'

/** What an agent is asked to do. */
export interface AgentTurn {
  readonly agentSessionId: string
  readonly mode: string
  /** `provider/model`. */
  readonly model: string
  readonly text: string
  /** The file that the person looks at: Kilo tells the model. */
  readonly currentFilePath?: string | undefined
}

/** What hears one Kilo. */
export interface Listener {
  frame(payload: KiloPayload): void
  /** Frames may be lost from here on, until `catchUp` has resolved. */
  gapOpened(): void
  /** Reads what was missed; rejects when Kilo cannot tell, and then the stream is begun anew. */
  catchUp(): Promise<void>
  /** The process is gone, or of no use any more. */
  gone(failure: AgentFailure): void
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
  readonly now: () => Date
  readonly onMetric: (metric: SupervisorMetric) => void
  /** Under which name a word that we don't know is counted. */
  readonly nameStranger: (name: string) => string
  listen(listener: Listener): () => void
  /** How the process ended, if it is just about to: a better answer than that it did not answer. */
  endedWithin(): Promise<string | undefined>
  /** Ends the whole process tree. */
  kill(): Promise<void>
}
