import type { Clock } from '#kernel/clock.ts'
import type { Log } from '#kernel/log.ts'
import { AgentFailure } from '../agent-failure.ts'
import type { KiloClient } from '../kilo/client.ts'
import type { KiloHttp } from '../stream/kilo-http.ts'
import type { AgentTimes, SupervisorMetric } from '../options.ts'
import { followEvents, type EventStream } from '../stream/event-stream.ts'
import type { SequenceTracker } from '../stream/sequence.ts'
import type { KiloProcess } from './kilo-process.ts'
import type { AgentListeners } from './listeners.ts'

export interface AgentStreamOptions {
  readonly clock: Clock
  readonly url: string
  readonly authorization: string
  readonly http: Pick<KiloHttp, 'dispatcher'>
  readonly sequence: SequenceTracker
  readonly kilo: Pick<KiloProcess, 'state' | 'kill' | 'endedWithin'>
  readonly client: Pick<KiloClient, 'version'>
  readonly listeners: AgentListeners
  readonly times: AgentTimes
  readonly log: Log
  readonly onMetric: (metric: SupervisorMetric) => void
}

/** Passes the events of one Kilo to all listeners. A Kilo without a stream that does not respond either is killed. */
export function listenToKilo(options: AgentStreamOptions): EventStream {
  const { clock, url, authorization, sequence, client, listeners, times, log, onMetric } = options
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
    isHealthy: () =>
      client.version(times.healthMs).then(
        () => true,
        () => false
      ),
    onFrame: listeners.frame,
    onLoss(why) {
      onMetric({ kind: why === 'gap' ? 'event-gap' : 'event-garbage' })
      if (losses++ === 0) log.warn({ why }, 'an event of kilo was lost')
    },
    onGapOpened: listeners.gapOpened,
    onReconnected: () => onMetric({ kind: 'reconnected' }),
    onCatchUp: listeners.catchUp,
    onState: (state) => log.debug({ state }, 'event stream changed its state'),
    onDead: () => void killUnresponsive(options)
  })
}

async function killUnresponsive({ kilo, listeners, log, onMetric }: AgentStreamOptions) {
  await kilo.endedWithin()
  if (kilo.state === 'draining' || kilo.state === 'exited') return
  onMetric({ kind: 'stalled' })
  log.warn({}, 'kilo does not respond and is killed')
  listeners.setFailure(new AgentFailure('stalled', 'Kilo does not respond any more.'))
  await kilo.kill()
}
