import type { Log } from '#kernel/log.ts'
import { AgentFailure } from '../agent-failure.ts'
import type { KiloClient } from '../kilo/client.ts'
import type { AgentTimes, SupervisorMetric } from '../options.ts'
import type { KillAgent } from './exit.ts'
import type { KiloProcess } from './kilo-process.ts'

export interface HealthOptions {
  readonly kilo: Pick<KiloProcess, 'state' | 'endedWithin'>
  readonly client: Pick<KiloClient, 'version'>
  readonly times: Pick<AgentTimes, 'probeMs' | 'healthMs'>
  readonly kill: KillAgent
  readonly log: Log
  readonly onMetric: (metric: SupervisorMetric) => void
}

/** Asks a Kilo whether it responds, and ends one that does not. */
export interface Health {
  /** Asks once. */
  responds(): Promise<boolean>
  /**
   * Asks a Kilo that has been idle, before it is used: first with a short timeout, then with the usual one, and kills it
   * when both pass. Resolves with whether it is usable. Concurrent calls share the answer.
   */
  check(): Promise<boolean>
  /** Kills a Kilo that does not respond, unless it has exited or is being stopped. */
  kill(): Promise<void>
}

export function createHealth(options: HealthOptions): Health {
  const { kilo, client, times, log, onMetric } = options
  let checking: Promise<boolean> | undefined

  const ask = (ms: number) =>
    client.version(ms).then(
      () => true,
      () => {
        onMetric({ kind: 'probe-failed' })
        return false
      }
    )

  const kill = async () => {
    await kilo.endedWithin()
    if (kilo.state === 'draining' || kilo.state === 'exited') return
    onMetric({ kind: 'stalled' })
    log.warn({}, 'kilo does not respond and is killed')
    await options.kill(new AgentFailure('stalled', 'Kilo does not respond any more.'), 'stalled')
  }

  const check = async () => {
    if ((await ask(times.probeMs)) || (await ask(times.healthMs))) return kilo.state === 'ready'
    await kill()
    return false
  }

  return {
    responds: () => ask(times.healthMs),
    check: () => (checking ??= check().finally(() => (checking = undefined))),
    kill
  }
}
