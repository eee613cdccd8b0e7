import type { AgentEvent } from '#kernel/agent-events.ts'
import type { Redact } from '../redact.ts'
import { isIgnoredStatus } from './known-names.ts'
import { outcomeOf } from './outcome.ts'
import type { KiloEvent, MessageInfo, PermissionAsked, SessionStatus } from './schemas.ts'
import type { TurnMemory } from './turn-memory.ts'

/** `session.created` and `session.updated`: they concern the tree of sessions, and no turn. */
export type SessionEvent = Extract<KiloEvent, { name: 'session.created' | 'session.updated' }>
export type TurnEvent = Exclude<KiloEvent, SessionEvent>

export interface TranslateOptions {
  readonly redact: Redact
  readonly onNetworkAsked: (id: string) => void
  /** A sub-agent's session has become known: translates the events of it that were kept. */
  readonly adopt: (sessionId: string, parentId: string, live: boolean) => readonly AgentEvent[]
}

type Translated = readonly (AgentEvent | undefined)[]

/** Translates one event of a session of this turn, and records what later events depend on. */
export function translateEvent(
  memory: TurnMemory,
  options: TranslateOptions,
  { name, properties }: TurnEvent,
  live: boolean
): Translated {
  const { asks, parts, todos, rootSessionId: root } = memory
  switch (name) {
    case 'session.turn.open':
      return [properties.sessionID === root ? open(memory) : undefined]
    case 'session.turn.close':
      return properties.sessionID === root
        ? [finish(memory, properties.reason, options.redact)]
        : []
    case 'session.error':
      if (properties.sessionID === root) memory.lastError ??= properties.error
      return []
    case 'session.status':
      return [translateStatus(memory, properties.status)]
    case 'message.updated':
      return translateMessage(memory, properties.info, live)
    case 'message.part.updated': {
      const { part } = properties
      const event = parts.see(part, live)
      const child = parts.childOf(part)
      return child === undefined ? [event] : [event, ...options.adopt(child, part.sessionID, live)]
    }
    case 'message.part.delta':
      return [parts.append(properties)]
    case 'todo.updated':
      return [properties.sessionID === root ? todos.see(properties.todos, live) : undefined]
    case 'permission.asked':
      return [isOfThisTurn(memory, properties, live) ? asks.permission(properties) : undefined]
    case 'question.asked':
      return [isOfThisTurn(memory, properties, live) ? asks.question(properties) : undefined]
    case 'permission.replied':
    case 'question.replied':
    case 'question.rejected':
      return [closePrompt(memory, properties.requestID)]
    case 'session.network.asked':
      if (memory.isFirst(`network ${properties.id}`)) options.onNetworkAsked(properties.id)
      return []
  }
}

const open = ({ isFirst }: Pick<TurnMemory, 'isFirst'>): AgentEvent | undefined =>
  isFirst('turn opened') ? { type: 'turn.opened' } : undefined

export function finish(
  { messages, lastError, networkRejected }: TurnMemory,
  reason: string,
  redact: Redact
): AgentEvent {
  const lastAnswer = messages.lastAnswer()
  const outcome = outcomeOf({ reason, lastAnswer, lastError, networkRejected }, redact)
  return { type: 'turn.finished', outcome }
}

export function closePrompt({ asks }: Pick<TurnMemory, 'asks'>, promptId: string): AgentEvent {
  asks.answered(promptId)
  return { type: 'prompt.closed', promptId }
}

function translateMessage(memory: TurnMemory, info: MessageInfo, live: boolean): Translated {
  const { messages, notices } = memory
  if (!messages.learn(info, live)) return []
  // The event that opened the turn may have been missed; no answer begins before it.
  const opened = !live && messages.isRootAnswer(info) ? open(memory) : undefined
  return [opened, notices.summary(info)]
}

function translateStatus({ notices, unrecognised }: TurnMemory, status: SessionStatus) {
  if (isIgnoredStatus(status.type)) return undefined
  return status.type === 'retry' ? notices.retry(status) : unrecognised(`status:${status.type}`)
}

/** Kilo also lists the requests that an earlier turn has left unanswered. */
const isOfThisTurn = (
  { messages }: Pick<TurnMemory, 'messages'>,
  { tool }: Pick<PermissionAsked, 'tool'>,
  live: boolean
) => live || tool === undefined || messages.byId.has(tool.messageID)
