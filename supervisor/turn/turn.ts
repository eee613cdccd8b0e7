import type { AgentEvent } from '#kernel/agent-events.ts'
import { catchUp } from './catch-up.ts'
import type { Asks } from '../kilo/asks.ts'
import type { KiloClient } from '../kilo/client.ts'
import { createTurnTranslator } from '../kilo/translator.ts'
import { createNetworkAnswers } from './network-wait.ts'
import { createSilenceWatch } from './silence-watch.ts'
import { createTurnEnding, INTERRUPTED, type TurnEnding } from './ending.ts'
import type { AgentTurn, TurnHost } from './host.ts'
import { createTurnOpening, modelOf, type TurnOpening } from './opening.ts'

/**
 * One prompt and everything that comes of it, ending with exactly one `turn.finished`, or with an AgentFailure when the
 * agent itself failed. When the signal aborts, or nobody reads on, the agent is asked to stop, and killed if it does not.
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

  // Listen before speaking: the first event may follow the prompt by a millisecond.
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

/** One turn of an agent's. Left before its end, it is cancelled. */
export type Turn = Pick<TurnEnding, 'events' | 'cancel'> &
  Pick<TurnOpening, 'sendPrompt'> &
  AsyncDisposable

/** Joins what a turn consists of: how it begins and ends, what Kilo says of it, and what it does not say. It listens at once. */
export function openTurn(host: TurnHost, wanted: AgentTurn): Turn {
  const { client, sequence, providers, times } = host
  const rootSessionId = wanted.agentSessionId
  const ending = createTurnEnding(host, rootSessionId)
  const translator = createTurnTranslator({
    rootSessionId,
    relative: host.relative,
    redact: host.redact,
    now: host.now,
    onInexact: () => host.onMetric({ kind: 'text-not-exact' }),
    onNetworkAsked: (id) => answerNetwork(id)
  })

  const give = (told: AgentEvent) => {
    if (ending.isOver()) return
    const event = countUnrecognised(host, told)
    if (event.type === 'turn.opened') opening.begun()
    ending.give(event)
  }

  const answerNetwork = createNetworkAnswers({
    client,
    providers,
    providerId: modelOf(wanted).providerId,
    onRetry: () =>
      give({ type: 'notice', text: 'The connection to the model was lost; trying again.' }),
    onGiveUp: translator.giveUpNetwork,
    onFailure: () =>
      void ending.stall('Kilo waits for the model provider and cannot be told not to.')
  })

  const reconciler = createSilenceWatch({
    catchUp() {
      const promptedAtMs = opening.promptedAtMs()
      return catchUp({ client, sequence, translator, rootSessionId, promptedAtMs, give })
    },
    silenceMs: times.turnSilenceMs,
    hasBegun: () => opening.hasBegun(),
    onOver: () => give(translator.finish(translator.closedFor() ?? 'error')),
    onMute: () => void ending.stall('Kilo does not answer any more.')
  })

  const opening = createTurnOpening({
    host,
    wanted,
    ending,
    lookAgain: reconciler.reconcile,
    complaint: translator.complaint
  })

  const unlisten = host.listen({
    frame(payload) {
      if (translator.concerns(payload)) reconciler.heard()
      translator.hear(payload).forEach(give)
    },
    gapOpened: translator.gapOpened,
    async catchUp() {
      await reconciler.reopen()
      translator.gapClosed()
    },
    gone: ending.agentGone
  })

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
        reconciler[Symbol.dispose]()
        rejectOpen(client, translator.asks)
      }
    }
  }
}

/** What Kilo still waits for stays in its lists after a stop. */
function rejectOpen(client: KiloClient, asks: Asks): void {
  for (const { id, kind } of asks.open()) {
    const answer =
      kind === 'permission' ? client.replyPermission(id, 'reject') : client.rejectQuestion(id)
    answer.catch(() => {})
  }
}

function countUnrecognised(host: TurnHost, event: AgentEvent): AgentEvent {
  if (event.type !== 'unrecognised') return event
  const name = host.nameStranger(event.name)
  host.onMetric({ kind: 'unrecognised', name })
  return { type: 'unrecognised', name }
}
