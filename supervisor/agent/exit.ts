import type { Log } from '#kernel/log.ts'
import type { AgentListeners } from './listeners.ts'
import type { KiloProcess } from '../process/kilo-process.ts'
import type { SupervisorMetric } from '../options.ts'
import { AgentFailure } from '../agent-failure.ts'

export interface AgentEndOptions {
  readonly kilo: KiloProcess
  readonly events: Disposable
  readonly listeners: AgentListeners
  readonly stopMs: number
  /** Removes the note, so that the folder may be used again. */
  readonly releaseFolder: () => Promise<void>
  readonly log: Log
  readonly onMetric: (metric: SupervisorMetric) => void
}

export interface AgentEnd {
  /** How it ended, once it has and all is cleared away. */
  readonly exited: Promise<string>
  /** Twice is once. */
  stop(): Promise<void>
}

const TAIL_CHARS_MAX = 2000

/** However a Kilo ends, asked or not: its listeners learn why, and what it left is cleared away. */
export function watchEnd(options: AgentEndOptions): AgentEnd {
  const { kilo, events, listeners, log, onMetric } = options
  let stopping: Promise<void> | undefined

  const clear = async () => {
    // What it had started may have outlived it.
    await kilo.kill()
    await options.releaseFolder()
  }

  const afterwards = async (how: string) => {
    events[Symbol.dispose]()
    if (!stopping && !listeners.ending()) {
      onMetric({ kind: 'crashed' })
      log.warn({ how, tail: kilo.tail().slice(-TAIL_CHARS_MAX) }, 'kilo ended unasked')
    }
    listeners.gone(stopping ? stopped() : crashed(how, kilo.lastLine()))
    await clear().catch((error: unknown) =>
      log.error({ err: error }, 'an agent could not be cleared away')
    )
    return how
  }
  const exited = kilo.exited.then(afterwards)

  const stop = async () => {
    // Kilo waits a second for an event stream that is still open.
    events[Symbol.dispose]()
    await kilo.stop(options.stopMs)
    await exited
    onMetric({ kind: 'stopped' })
  }

  return { exited, stop: () => (stopping ??= stop()) }
}

const stopped = () => new AgentFailure('stopped', 'The agent was stopped.')

const crashed = (how: string, lastLine: string | undefined) =>
  new AgentFailure('crashed', `Kilo ${how}${lastLine ? `; its last words: ${lastLine}` : '.'}`)
