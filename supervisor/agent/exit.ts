import type { Log } from '#kernel/log.ts'
import { AgentFailure } from '../agent-failure.ts'
import type { SupervisorMetric } from '../options.ts'
import type { KiloProcess } from './kilo-process.ts'
import type { AgentListeners } from './listeners.ts'

export interface AgentExitOptions {
  readonly kilo: KiloProcess
  readonly events: Disposable
  readonly listeners: Pick<AgentListeners, 'failure' | 'exited'>
  readonly stopMs: number
  /** Removes the process note, so that the folder may be used again. */
  readonly releaseFolder: () => Promise<void>
  readonly log: Log
  readonly onMetric: (metric: SupervisorMetric) => void
}

export interface AgentExit {
  /** How the process exited, once it has and its leftovers are cleared. */
  readonly exited: Promise<string>
  /** Idempotent. */
  stop(): Promise<void>
}

const TAIL_CHARS_MAX = 2000

/** Reports the exit of a Kilo to its listeners, whether it was stopped or not, and clears what it left behind. */
export function watchExit(options: AgentExitOptions): AgentExit {
  const { kilo, events, listeners, log, onMetric } = options
  let stopping: Promise<void> | undefined

  const clear = async () => {
    // A process that Kilo started may have survived it.
    await kilo.kill()
    await options.releaseFolder()
  }

  const afterExit = async (how: string) => {
    events[Symbol.dispose]()
    if (!stopping && !listeners.failure()) {
      onMetric({ kind: 'crashed' })
      log.warn({ how, tail: kilo.tail().slice(-TAIL_CHARS_MAX) }, 'kilo exited unexpectedly')
    }
    listeners.exited(
      stopping
        ? new AgentFailure('stopped', 'The agent was stopped.')
        : new AgentFailure('crashed', `Kilo ${how}.${kilo.lastOutput()}`)
    )
    await clear().catch((error: unknown) =>
      log.error({ err: error }, 'failed to clear up after kilo')
    )
    return how
  }
  const exited = kilo.exited.then(afterExit)

  const stop = async () => {
    // Kilo waits a second for an event stream that is still open.
    events[Symbol.dispose]()
    await kilo.stop(options.stopMs)
    await exited
    onMetric({ kind: 'stopped' })
  }

  return { exited, stop: () => (stopping ??= stop()) }
}
