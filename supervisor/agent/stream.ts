import type { Log } from '#kernel/log.ts'
import type { AgentListeners } from './listeners.ts'
import { followEvents, type EventStream, type EventStreamOptions } from '../stream/event-stream.ts'
import type { KiloClient } from '../kilo/client.ts'
import type { KiloProcess } from '../process/kilo-process.ts'
import type { AgentTimes, SupervisorMetric } from '../options.ts'
import { AgentFailure } from '../agent-failure.ts'

export interface AgentStreamOptions extends Pick<
  EventStreamOptions,
  'clock' | 'url' | 'authorization' | 'sequence'
> {
  readonly kilo: KiloProcess
  readonly client: KiloClient
  readonly listeners: AgentListeners
  readonly times: AgentTimes
  readonly log: Log
  readonly onMetric: (metric: SupervisorMetric) => void
}

/** Passes on to all listeners what one Kilo says. When it says nothing any more, and does not answer either, it is killed. */
export function listenToKilo(options: AgentStreamOptions): EventStream {
  const { clock, url, authorization, sequence, kilo, client, listeners, times, log, onMetric } =
    options
  let losses = 0

  const endSilent = async () => {
    await kilo.endedWithin()
    if (kilo.state === 'draining' || kilo.state === 'exited') return
    onMetric({ kind: 'stalled' })
    log.warn({}, 'kilo does not answer and is killed')
    listeners.setEndReason(new AgentFailure('stalled', 'Kilo does not answer any more.'))
    await kilo.kill()
  }

  return followEvents({
    clock,
    url,
    authorization,
    sequence,
    silenceMs: times.streamSilenceMs,
    renewMs: times.streamRenewMs,
    isHealthy: () =>
      client.version(times.healthMs).then(
        () => true,
        () => false
      ),
    onFrame: listeners.frame,
    onLoss(why) {
      onMetric({ kind: why === 'gap' ? 'event-gap' : 'event-garbage' })
      if (losses++ === 0) log.warn({ why }, 'kilo said something that was not heard')
    },
    onGapOpened: listeners.gapOpened,
    onReconnected: () => onMetric({ kind: 'reconnected' }),
    onCatchUp: listeners.catchUp,
    onState: (state) => log.debug({ state }, 'kilo event stream changed its state'),
    onDead: () => void endSilent()
  })
}
