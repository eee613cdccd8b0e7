import type { Clock } from '#kernel/clock.ts'
import type { Log } from '#kernel/log.ts'
import type { KiloHttp } from '../stream/kilo-http.ts'
import type { AgentTimes, SupervisorMetric } from '../options.ts'
import { followEvents, type EventStream } from '../stream/event-stream.ts'
import type { SequenceTracker } from '../stream/sequence.ts'
import type { Health } from './health.ts'
import type { AgentListeners } from './listeners.ts'

export interface AgentStreamOptions {
  readonly clock: Clock
  readonly url: string
  readonly authorization: string
  readonly http: Pick<KiloHttp, 'dispatcher'>
  readonly sequence: SequenceTracker
  readonly health: Pick<Health, 'responds' | 'kill'>
  readonly listeners: AgentListeners
  readonly times: AgentTimes
  readonly log: Log
  readonly onMetric: (metric: SupervisorMetric) => void
}

/** Passes the events of one Kilo to all listeners. A Kilo without a stream that does not respond either is killed. */
export function listenToKilo(options: AgentStreamOptions): EventStream {
  const { clock, url, authorization, sequence, health, listeners, times, log, onMetric } = options
  let losses = 0

  return followEvents({
    clock,
    url,
    authorization,
    dispatcher: options.http.dispatcher,
    sequence,
    openMs: times.startMaxMs,
    silenceMs: times.streamSilenceMs,
    renewMs: times.streamRenewMs,
    isHealthy: health.responds,
    onFrame: listeners.frame,
    onLoss(why) {
      onMetric({ kind: why === 'gap' ? 'event-gap' : 'event-garbage' })
      if (losses++ === 0) log.warn({ why }, 'an event of kilo was lost')
    },
    onGapOpened: listeners.gapOpened,
    onReconnected: () => onMetric({ kind: 'reconnected' }),
    onCatchUp: listeners.catchUp,
    onState: (state) => log.debug({ state }, 'event stream changed its state'),
    onDead: () => void health.kill()
  })
}
