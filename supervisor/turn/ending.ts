import type { AgentEvent } from '#kernel/agent-events.ts'
import { follow, type Transitions } from '#kernel/transitions.ts'
import { within } from '#kernel/waiting.ts'
import { createMailbox } from './mailbox.ts'
import type { TurnHost } from './host.ts'
import { AgentFailure } from '../agent-failure.ts'

export type TurnState = 'running' | 'cancelling' | 'killing' | 'over'

/**
 * A turn ends once. Who cancels it is told that it was interrupted, also when it had stalled just before; one that is
 * being cancelled does not stall any more.
 */
export const TURN_STATES: Transitions<TurnState> = {
  running: ['cancelling', 'killing', 'over'],
  killing: ['cancelling', 'over'],
  cancelling: ['over'],
  over: []
}

/** The ways in which a turn may end; the first that does it counts. */
export interface TurnEnding {
  /** What was given, and after the last of it the failure, if there was one. */
  readonly events: AsyncIterable<AgentEvent>
  isOver(): boolean
  /** Tells the reader; `turn.finished` is the good end. */
  give(event: AgentEvent): void
  /** The agent itself failed. */
  fail(failure: AgentFailure): void
  /** Asks Kilo to stop, and kills it if it does not; twice is once. */
  cancel(): Promise<void>
  /** It was told to stop before it began, and may have begun all the same. */
  cancelAgain(): void
  /** Kilo is of no use any more: it is killed, for a turn that goes on late would write into somebody else's work. */
  stall(sentence: string): Promise<void>
  /** The process has ended. */
  agentGone(failure: AgentFailure): void
}

export const INTERRUPTED: AgentEvent = { type: 'turn.finished', outcome: { kind: 'interrupted' } }
/** A killed tree is gone within milliseconds; a turn does not wait longer than this to see it. */
const KILL_WAIT_MS = 2000

/** Sees to it that a turn ends exactly once, whatever Kilo does. */
export function createTurnEnding(host: TurnHost, rootSessionId: string): TurnEnding {
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

  const give = (event: AgentEvent) => {
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

  const askToStop = () => void host.client.abort(rootSessionId).catch(() => {})

  const stop = async () => {
    if (isOver()) return
    become('cancelling')
    askToStop()
    await within(over.promise, host.times.cancelGraceMs)
    if (isOver()) return
    host.log.warn({ rootSessionId }, 'agent did not stop and is killed')
    await within(host.kill(), KILL_WAIT_MS)
    give(INTERRUPTED)
  }

  return {
    events: mailbox,
    isOver,
    give,
    fail,
    cancel: () => (cancelled ??= stop()),
    cancelAgain() {
      if (state === 'cancelling') askToStop()
    },
    async stall(sentence) {
      if (state !== 'running') return
      become('killing')
      stalledFor = new AgentFailure('stalled', sentence)
      host.onMetric({ kind: 'stalled' })
      host.log.warn({ rootSessionId, sentence }, 'agent stalled')
      await within(host.kill(), KILL_WAIT_MS)
      fail(stalledFor)
    },
    agentGone(failure) {
      if (state === 'cancelling') give(INTERRUPTED)
      else fail(stalledFor ?? failure)
    }
  }
}
