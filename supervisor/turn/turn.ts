import type { AgentEvent } from '#kernel/agent-events.ts'
import type { Asks } from '../kilo/asks.ts'
import type { KiloClient } from '../kilo/client.ts'
import { createTurnTranslator, type TurnTranslator } from '../kilo/translator.ts'
import { catchUp } from './catch-up.ts'
import { createTurnEnding, INTERRUPTED, type TurnEnding } from './ending.ts'
import { reportRefusedHosts } from './egress-notices.ts'
import type { AgentTurn, Listener, TurnHost } from './host.ts'
import { createNetworkAnswers } from './network-wait.ts'
import { createToolCount } from './progress-policy.ts'
import { createTurnOpening, modelOf, type TurnOpening } from './opening.ts'
import { createSilenceWatch, type SilenceWatch } from './silence-watch.ts'

/**
 * One prompt and every event that follows from it. It ends with exactly one `turn.finished`, or with an AgentFailure
 * when the agent itself failed. When the signal aborts, or the reader leaves, the agent is asked to stop, and killed
 * if it does not.
 */
export async function* runTurn(
  host: TurnHost,
  wanted: AgentTurn,
  signal: AbortSignal
): AsyncGenerator<AgentEvent> {
  if (signal.aborted) {
    yield INTERRUPTED
    return
  }

  // Listen before the prompt is sent: the first event may follow it by a millisecond.
  await using turn = openTurn(host, wanted)
  using _abort = cancelOn(signal, turn)
  turn.sendPrompt()
  yield* turn.events
}

function cancelOn(signal: AbortSignal, turn: Turn): Disposable {
  const cancel = () => void turn.cancel()
  signal.addEventListener('abort', cancel)
  return { [Symbol.dispose]: () => signal.removeEventListener('abort', cancel) }
}

/** One turn of an agent. A turn that is disposed before its end is cancelled. */
export type Turn = Pick<TurnEnding, 'events' | 'cancel'> &
  Pick<TurnOpening, 'sendPrompt'> &
  AsyncDisposable

/** Joins the parts of a turn: its opening and ending, the events that arrive, and the watch for those that do not. */
export function openTurn(host: TurnHost, wanted: AgentTurn): Turn {
  const { client, clock, sequence, providers, times } = host
  const rootSessionId = wanted.agentSessionId
  const ending = createTurnEnding(host, rootSessionId)
  const translator = createTurnTranslator({
    rootSessionId,
    relative: host.relative,
    redact: host.redact,
    now: () => clock.now(),
    onInexact: () => host.onMetric({ kind: 'text-not-exact' }),
    onNetworkAsked: (id) => answerNetwork(id)
  })

  const tools = createToolCount()
  const emit = (translated: AgentEvent) => {
    if (ending.isOver()) return
    const event = countUnrecognised(host, translated)
    silence.activity()
    if (event.type === 'turn.opened') opening.begun()
    if (event.type === 'tool.updated') tools.update(event)
    ending.emit(event)
  }

  const answerNetwork = createNetworkAnswers({
    client,
    clock,
    providers,
    providerId: modelOf(wanted).providerId,
    onRetry: () =>
      emit({ type: 'notice', text: 'The connection to the model was lost; trying again.' }),
    onReject: translator.networkRejected,
    onFailure: () =>
      void ending.stall('Kilo waits for the model provider and does not accept an answer.')
  })

  const silence = createSilenceWatch({
    clock,
    catchUp() {
      const promptedAtMs = opening.promptedAtMs()
      return catchUp({ client, sequence, translator, rootSessionId, promptedAtMs, emit })
    },
    silenceMs: times.turnSilenceMs,
    progressMs: times.turnProgressMs,
    awaits: () => ({
      toolsRunning: tools.count(),
      promptsOpen: translator.asks.open().length
    }),
    hasBegun: () => opening.hasBegun(),
    onOver: () => emit(translator.finish(translator.closeReason() ?? 'error')),
    onUnresponsive: () => void ending.stall('Kilo does not respond any more.'),
    onNoProgress: () => void ending.stall('Kilo makes no progress any more.')
  })

  const opening = createTurnOpening({
    host,
    turn: wanted,
    ending,
    catchUp: silence.poll,
    lastError: translator.lastError
  })

  const unlisten = host.listen(
    listenerOf({ translator, silence, emit, exited: ending.agentExited })
  )

  const unlistenEgress = reportRefusedHosts(host, emit)

  return {
    events: ending.events,
    cancel: ending.cancel,
    sendPrompt: opening.sendPrompt,
    async [Symbol.asyncDispose]() {
      try {
        await ending.cancel()
      } finally {
        opening[Symbol.dispose]()
        unlisten()
        unlistenEgress()
        silence[Symbol.dispose]()
        rejectOpen(client, translator.asks)
      }
    }
  }
}

function listenerOf(turn: {
  readonly translator: TurnTranslator
  readonly silence: SilenceWatch
  readonly emit: (event: AgentEvent) => void
  readonly exited: Listener['exited']
}): Listener {
  const { translator, silence, emit } = turn
  return {
    frame(payload) {
      if (translator.concerns(payload)) silence.activity()
      translator.translate(payload).forEach(emit)
    },
    gapOpened: translator.gapOpened,
    async catchUp() {
      await silence.pollAfterReconnect()
      translator.gapClosed()
    },
    exited: turn.exited
  }
}

/** Requests that Kilo still waits for would stay in its lists after a stop. */
function rejectOpen(client: KiloClient, asks: Asks): void {
  for (const { id, kind } of asks.open()) {
    const answer =
      kind === 'permission' ? client.replyPermission(id, 'reject') : client.rejectQuestion(id)
    answer.catch(() => {})
  }
}

function countUnrecognised(
  host: Pick<TurnHost, 'nameUnrecognised' | 'onMetric'>,
  event: AgentEvent
): AgentEvent {
  if (event.type !== 'unrecognised') return event
  const name = host.nameUnrecognised(event.name)
  host.onMetric({ kind: 'unrecognised', name })
  return { type: 'unrecognised', name }
}
