import type { AgentEvent } from '#kernel/agent-events.ts'
import { JobFailure } from '#kernel/job-failures.ts'
import type { Log } from '#kernel/log.ts'
import { within } from '#kernel/waiting.ts'
import { catchUp } from './catch-up.ts'
import type { Hearing } from './hearing.ts'
import type { KiloClient } from './kilo-client.ts'
import type { ProviderAccess } from './kilo-config.ts'
import { createTurnTranslator } from './kilo-events.ts'
import type { RelativePath } from './kilo-paths.ts'
import type { KiloPayload } from './kilo-schemas.ts'
import { createMailbox } from './mailbox.ts'
import { createNetworkAnswers } from './network-wait.ts'
import type { AgentTimes, SupervisorMetric } from './options.ts'
import { createReconciler } from './reconcile.ts'
import type { Redact } from './redact.ts'

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
  /** Frames may be lost from here on, until `back`. */
  torn(): void
  back(): Promise<void>
  /** The process is gone, or of no use any more. */
  gone(failure: JobFailure): void
}

/** What a turn needs of the agent that carries it out. */
export interface TurnHost {
  readonly client: KiloClient
  readonly hearing: Hearing
  readonly providers: readonly ProviderAccess[]
  readonly relative: RelativePath
  readonly times: AgentTimes
  readonly redact: Redact
  readonly log: Log
  readonly now: () => Date
  /** Resolves when the process has ended. */
  readonly exited: Promise<unknown>
  readonly onMetric: (metric: SupervisorMetric) => void
  /** Under which name a word that we don't know is counted. */
  readonly nameStranger: (name: string) => string
  listen(listener: Listener): () => void
  /** Ends the whole process tree. */
  kill(): Promise<void>
}

const INTERRUPTED: AgentEvent = { type: 'turn.finished', outcome: { kind: 'interrupted' } }
/** A killed tree is gone within milliseconds; a turn does not wait longer than this to see it. */
const KILL_WAIT_MS = 2000

/**
 * One prompt and everything that comes of it, ending with exactly one `turn.finished`, or with a JobFailure when the
 * agent itself failed. It listens before it speaks. When the signal aborts, or nobody reads on, the agent is asked
 * to stop, and killed if it does not.
 */
export async function* runTurn(
  host: TurnHost,
  turn: AgentTurn,
  signal: AbortSignal
): AsyncGenerator<AgentEvent> {
  if (signal.aborted) {
    yield INTERRUPTED
    return
  }

  const { client, times } = host
  const rootSessionId = turn.agentSessionId
  const slash = turn.model.indexOf('/')
  const providerId = turn.model.slice(0, slash)
  const modelId = turn.model.slice(slash + 1)
  const mailbox = createMailbox<AgentEvent>()
  const settled = Promise.withResolvers<void>()
  const translator = createTurnTranslator({
    rootSessionId,
    relative: host.relative,
    redact: host.redact,
    now: host.now,
    onInexact: () => host.onMetric({ kind: 'text-not-exact' }),
    onNetworkAsked: (id) => answerNetwork(id)
  })
  let finished = false
  let opened = false
  let openTimer: NodeJS.Timeout | undefined
  let promptedAtMs = Date.now()

  const settle = (failure?: JobFailure) => {
    if (finished) return
    finished = true
    if (failure) mailbox.fail(failure)
    else mailbox.end()
    settled.resolve()
  }

  const give = (told: AgentEvent) => {
    if (finished) return
    const event = withKnownName(host, told)
    if (event.type === 'turn.opened') {
      opened = true
      clearTimeout(openTimer)
      // It had been told to stop before it began, and has begun all the same.
      if (cancelling) askToStop()
    }
    mailbox.put(event)
    if (event.type === 'turn.finished') settle()
  }

  const stall = async (sentence: string) => {
    if (finished) return
    host.onMetric({ kind: 'stalled' })
    const failure = new JobFailure('agent_stalled', sentence)
    host.log.warn({ rootSessionId, sentence }, 'agent stalled')
    // A turn that began late would write into somebody else's work.
    finishing = failure
    await within(host.kill(), KILL_WAIT_MS)
    settle(failure)
  }

  /** Why the process is being killed by this turn, if it is. */
  let finishing: JobFailure | undefined
  let cancelling: Promise<void> | undefined
  const askToStop = () => void client.abort(rootSessionId).catch(() => {})
  const stop = async () => {
    askToStop()
    await within(settled.promise, times.cancelGraceMs)
    if (finished) return
    host.log.warn({ rootSessionId }, 'agent did not stop and is killed')
    await within(host.kill(), KILL_WAIT_MS)
    give(INTERRUPTED)
  }
  const cancel = () => (cancelling ??= stop())
  const onAbort = () => void cancel()

  const answerNetwork = createNetworkAnswers({
    ...{ client, providers: host.providers, providerId },
    onRetry: () =>
      give({ type: 'notice', text: 'The connection to the model was lost; trying again.' }),
    onGiveUp: translator.giveUpNetwork,
    onFailure: () => {
      if (!cancelling) void stall('Kilo waits for the model provider and cannot be told not to.')
    }
  })

  using reconciler = createReconciler({
    catchUp: () =>
      catchUp({ client, hearing: host.hearing, translator, rootSessionId, promptedAtMs, give }),
    silenceMs: times.turnSilenceMs,
    hasBegun: () => opened,
    onOver: () => give(translator.finish(translator.closedFor() ?? 'error')),
    onMute: () => void stall('Kilo does not answer any more.')
  })
  const back = async () => {
    await reconciler.reopen()
    translator.mend()
  }

  const say = async () => {
    promptedAtMs = Date.now()
    const { mode, text, currentFilePath: activeFile } = turn
    await client.prompt({ sessionId: rootSessionId, mode, providerId, modelId, text, activeFile })
    if (cancelling) askToStop()
    if (finished || opened) return
    openTimer = setTimeout(() => void sayNothingBegan(), times.turnOpenMs)
  }

  const sayNothingBegan = async () => {
    // It may have begun unheard.
    await reconciler.reconcile().catch(() => {})
    if (opened) return
    const why = translator.complaint()
    await stall(`Kilo took the prompt and began nothing${why ? `: ${why}` : '.'}`)
  }

  const refused = async (error: unknown) => {
    // The process may just have died, and that is the better answer.
    await within(host.exited, 500)
    const { status } = ((error as Error).cause ?? {}) as { status?: number }
    const words = host.redact((error as Error).message)
    if (status === undefined) return stall(`Kilo did not take the prompt: ${words}`)
    settle(new JobFailure('agent_unavailable', `Kilo refused the prompt: ${words}`))
  }

  const unlisten = host.listen({
    frame(payload) {
      if (translator.concerns(payload)) reconciler.heard()
      translator.hear(payload).forEach(give)
    },
    torn: translator.tear,
    back,
    gone(failure) {
      if (cancelling) give(INTERRUPTED)
      else settle(finishing ?? failure)
    }
  })
  signal.addEventListener('abort', onAbort)
  try {
    void say().catch(refused)
    yield* mailbox
  } finally {
    if (!finished) await cancel()
    signal.removeEventListener('abort', onAbort)
    clearTimeout(openTimer)
    unlisten()
    // What Kilo still waits for stays in its lists after a stop.
    for (const { id, kind } of translator.asks.open()) {
      const answer =
        kind === 'permission' ? client.replyPermission(id, 'reject') : client.rejectQuestion(id)
      answer.catch(() => {})
    }
  }
}

function withKnownName(host: TurnHost, event: AgentEvent): AgentEvent {
  if (event.type !== 'unrecognised') return event
  const name = host.nameStranger(event.name)
  host.onMetric({ kind: 'unrecognised', name })
  return { type: 'unrecognised', name }
}
