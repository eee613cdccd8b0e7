import type { Log } from '#kernel/log.ts'
import type { AgentEnd, EndReason, StopReason } from '../agent-end.ts'
import { AgentFailure } from '../agent-failure.ts'
import type { SupervisorMetric } from '../options.ts'
import type { KiloProcess } from './kilo-process.ts'
import type { AgentListeners } from './listeners.ts'

/** Kills a Kilo that runs. The failure is what its users get, the reason what is recorded; the first ones count. */
export type KillAgent = (failure: AgentFailure, reason: EndReason) => Promise<void>

export interface AgentExitOptions {
  readonly kilo: KiloProcess
  readonly events: Disposable
  readonly listeners: Pick<AgentListeners, 'failure' | 'exited'>
  /** Why it was killed; undefined when it was not. */
  readonly killedFor: () => EndReason | undefined
  readonly stopMs: number
  /** Removes the process note, so that the folder may be used again. */
  readonly releaseFolder: () => Promise<void>
  readonly log: Log
  readonly onMetric: (metric: SupervisorMetric) => void
}

export interface AgentExit {
  /** Resolves once it has exited and its leftovers are cleared. Never rejects. */
  readonly exited: Promise<AgentEnd>
  /** Idempotent: the first reason counts. */
  stop(reason: StopReason): Promise<void>
}

/** Kills a Kilo, and remembers why. */
export function createKill({
  kilo,
  listeners
}: {
  readonly kilo: Pick<KiloProcess, 'kill'>
  readonly listeners: Pick<AgentListeners, 'setFailure'>
}): { readonly kill: KillAgent; readonly killedFor: () => EndReason | undefined } {
  let killedFor: EndReason | undefined
  return {
    kill(failure, reason) {
      killedFor ??= reason
      listeners.setFailure(failure)
      return kilo.kill()
    },
    killedFor: () => killedFor
  }
}

const TAIL_CHARS_MAX = 2000

/** Reports the exit of a Kilo to its listeners, whether it was stopped or not, and clears what it left behind. */
export function watchExit(options: AgentExitOptions): AgentExit {
  const { kilo, events, listeners, log, onMetric } = options
  let stopping: { readonly reason: StopReason; readonly done: Promise<void> } | undefined

  const clear = async () => {
    // A process that Kilo started may have survived it.
    await kilo.kill()
    await options.releaseFolder()
  }

  const afterExit = async (how: string): Promise<AgentEnd> => {
    events[Symbol.dispose]()
    const reason = options.killedFor() ?? stopping?.reason ?? 'crashed'
    if (reason === 'crashed') {
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
    return { reason, how }
  }
  const exited = kilo.exited.then(afterExit)

  const stop = async () => {
    // Kilo waits a second for an event stream that is still open.
    events[Symbol.dispose]()
    await kilo.stop(options.stopMs)
    await exited
    onMetric({ kind: 'stopped' })
  }

  return {
    exited,
    stop(reason) {
      if (!stopping) {
        const begun = Promise.withResolvers<void>()
        stopping = { reason, done: begun.promise }
        stop().then(begun.resolve, begun.reject)
      }
      return stopping.done
    }
  }
}
