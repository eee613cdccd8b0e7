import type { AgentEvent } from '#kernel/agent-events.ts'
import { follow, type Transitions } from '#kernel/transitions.ts'
import { within } from '#kernel/waiting.ts'
import { AgentFailure } from '../agent-failure.ts'
import type { TurnHost } from './host.ts'
import { createMailbox } from './mailbox.ts'

export type TurnState = 'running' | 'cancelling' | 'killing' | 'over'

/**
 * A turn ends once. A cancelled turn ends as interrupted, also when it had stalled just before; a turn that is being
 * cancelled does not stall any more.
 */
export const TURN_STATES: Transitions<TurnState> = {
  running: ['cancelling', 'killing', 'over'],
  killing: ['cancelling', 'over'],
  cancelling: ['over'],
  over: []
}

/** The ways in which a turn may end; the first one counts. */
export interface TurnEnding {
  /** The emitted events, and after the last of them the failure, if there was one. */
  readonly events: AsyncIterable<AgentEvent>
  isOver(): boolean
  /** Passes an event to the reader; `turn.finished` ends the turn. */
  emit(event: AgentEvent): void
  /** The agent itself failed. */
  fail(failure: AgentFailure): void
  /** Asks Kilo to stop, and kills it if it does not. Idempotent. */
  cancel(): Promise<void>
  /** Repeats the request to stop, for a turn that was cancelled before it began and that may have begun since. */
  cancelAgain(): void
  /** Kills a Kilo that does not respond: a turn that continued late would write into the work of the next job. */
  stall(message: string): Promise<void>
  /** The process has exited. */
  agentExited(failure: AgentFailure): void
}

export const INTERRUPTED: AgentEvent = { type: 'turn.finished', outcome: { kind: 'interrupted' } }
/** The tree of a killed process exits within milliseconds; a turn does not wait for it any longer than this. */
const KILL_WAIT_MS = 2000

/** Ends a turn exactly once, whatever Kilo does. */
export function createTurnEnding(
  host: Pick<TurnHost, 'client' | 'times' | 'log' | 'onMetric' | 'kill'>,
  rootSessionId: string
): TurnEnding {
  const mailbox = createMailbox<AgentEvent>()
  const over = Promise.withResolvers<void>()
  let state: TurnState = 'running'
  let stalledFor: AgentFailure | undefined
  let cancelled: Promise<void> | undefined

  const become = (next: TurnState) => {
    state = follow(TURN_STATES, state, next)
  }
  const isOver = () => state === 'over'

  const end = () => {
    become('over')
    over.resolve()
  }

  const emit = (event: AgentEvent) => {
    if (isOver()) return
    mailbox.put(event)
    if (event.type !== 'turn.finished') return
    mailbox.end()
    end()
  }

  const fail = (failure: AgentFailure) => {
    if (isOver()) return
    mailbox.fail(failure)
    end()
  }

  const abort = () => void host.client.abort(rootSessionId).catch(() => {})

  const stop = async () => {
    if (isOver()) return
    become('cancelling')
    abort()
    await within(over.promise, host.times.cancelGraceMs)
    if (isOver()) return
    host.log.warn({ rootSessionId }, 'agent did not stop and is killed')
    await within(host.kill('cancelled'), KILL_WAIT_MS)
    emit(INTERRUPTED)
  }

  return {
    events: mailbox,
    isOver,
    emit,
    fail,
    cancel: () => (cancelled ??= stop()),
    cancelAgain() {
      if (state === 'cancelling') abort()
    },
    async stall(message) {
      if (state !== 'running') return
      become('killing')
      stalledFor = new AgentFailure('stalled', message)
      host.onMetric({ kind: 'stalled' })
      host.log.warn({ rootSessionId, reason: message }, 'agent stalled')
      await within(host.kill('stalled'), KILL_WAIT_MS)
      fail(stalledFor)
    },
    agentExited(failure) {
      if (state === 'cancelling') emit(INTERRUPTED)
      else fail(stalledFor ?? failure)
    }
  }
}
