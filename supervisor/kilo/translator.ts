import type { AgentEvent } from '#kernel/agent-events.ts'
import type { Asks } from './asks.ts'
import { isIgnoredEvent } from './known-names.ts'
import { closeReasonOf, hasEndedSince } from './messages.ts'
import { readEvent, sessionOf, type KiloEvent, type KiloPayload } from './schemas.ts'
import type { Todos } from './todos.ts'
import { closePrompt, finish, translateEvent, type SessionEvent } from './translate-event.ts'
import { createTurnMemory, type TranslatorOptions } from './turn-memory.ts'

export type { TranslatorOptions } from './turn-memory.ts'

export interface TurnTranslator {
  /** Translates one frame of the stream. */
  translate(payload: KiloPayload): AgentEvent[]
  /** The same for something that was read later: it may be outdated, or known already. */
  translateMissed(payload: KiloPayload): AgentEvent[]
  /** Whether it belongs to a session of this turn. */
  concerns(payload: KiloPayload): boolean
  /** Frames may be missing from here on. */
  gapOpened(): void
  /** The missed events have been read. */
  gapClosed(): void
  /** We answered Kilo that its provider stays unreachable. */
  networkRejected(): void
  /** Kilo does not wait any more for an answer to this permission or question. */
  close(promptId: string): AgentEvent
  /** The end of the turn when the root session's turn closed for this reason. */
  finish(reason: string): AgentEvent
  /** Whether the model has ended an answer that it began at or after this moment of Kilo's clock. */
  hasAnsweredSince(ms: number): boolean
  /** The reason for which the root session's turn closed, if its last message shows that it did. */
  closeReason(): 'completed' | 'error' | 'interrupted' | undefined
  /** The root session and those of its sub-agents. */
  readonly sessions: ReadonlySet<string>
  readonly asks: Asks
  readonly todos: Pick<Todos, 'version'>
  /** The message of the last error that Kilo reported in the root session. */
  lastError(): string | undefined
}

/**
 * Translates one turn of Kilo's: of the root session everything, of its sub-agents what they do and use (their texts
 * are the output of the tool that called them). It ends with the turn of the root session. `decisions.ts` lists what
 * becomes of each event, and why.
 */
export function createTurnTranslator(options: TranslatorOptions): TurnTranslator {
  const { redact } = options
  const memory = createTurnMemory(options)
  const { tree, parts, messages } = memory

  const adopt = (sessionId: string, parentId: string | undefined, live: boolean) =>
    parentId === undefined ? [] : tree.learn(sessionId, parentId).flatMap((p) => read(p, live))
  const translateOptions = { redact, onNetworkAsked: options.onNetworkAsked, adopt }

  const unreadable = ({ type }: KiloPayload) => {
    if (isIgnoredEvent(type)) return undefined
    // It may have been a piece of a text.
    if (type.startsWith('message.part.')) parts.pieceLost()
    return memory.unrecognised(type)
  }

  const read = (payload: KiloPayload, live: boolean): AgentEvent[] => {
    const event = readEvent(payload)
    if (!event) return [unreadable(payload)].filter((found) => found !== undefined)
    // Every session may turn out to be one of this turn's, so these events have no owner.
    if (isSessionEvent(event)) {
      const { id, parentID } = event.properties.info
      return adopt(id, parentID, live)
    }
    const owner = sessionOf(payload)
    if (owner !== undefined && !tree.members.has(owner)) {
      if (event.name !== 'message.part.delta') tree.keep(owner, payload)
      return []
    }
    return translateEvent(memory, translateOptions, event, live).filter(
      (found) => found !== undefined
    )
  }

  return {
    translate: (payload) => read(payload, true),
    translateMissed: (payload) => read(payload, false),
    concerns(payload) {
      const owner = sessionOf(payload)
      return owner !== undefined && tree.members.has(owner)
    },
    gapOpened: parts.gapOpened,
    gapClosed: parts.gapClosed,
    networkRejected() {
      memory.networkRejected = true
    },
    close: (promptId) => closePrompt(memory, promptId),
    finish: (reason) => finish(memory, reason, redact),
    hasAnsweredSince: (ms) => hasEndedSince(messages.lastAnswer(), ms),
    closeReason: () => closeReasonOf(messages.lastAnswer()),
    sessions: tree.members,
    asks: memory.asks,
    todos: memory.todos,
    lastError() {
      const message = memory.lastError?.data?.message
      return message && redact(message)
    }
  }
}

const isSessionEvent = (event: KiloEvent): event is SessionEvent =>
  event.name === 'session.created' || event.name === 'session.updated'
