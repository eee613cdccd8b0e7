import type { AgentEvent } from '#kernel/agent-events.ts'
import { createAsks, type Asks } from './kilo-asks.ts'
import { isIgnoredEvent, isIgnoredPart, isIgnoredStatus } from './kilo-names.ts'
import { outcomeOf } from './kilo-outcome.ts'
import type { RelativePath } from './kilo-paths.ts'
import {
  isStepFinishPart,
  isTextPart,
  isToolPart,
  readEvent,
  type AnyPart,
  type KiloError,
  type KiloEvent,
  type KiloPayload,
  type MessageInfo,
  type StepFinishPart
} from './kilo-schemas.ts'
import { createTextParts } from './kilo-text.ts'
import { createToolParts } from './kilo-tools.ts'
import type { Redact } from './redact.ts'

export interface TurnTranslator {
  /** What one frame means for this turn. */
  hear(payload: KiloPayload): AgentEvent[]
  /** What a message that was read, not heard, adds to what is known. */
  catchUp(info: MessageInfo, parts: readonly AnyPart[]): AgentEvent[]
  /** Frames may have been lost. */
  tear(): void
  /** Everything has been read again since. */
  mend(): void
  /** Kilo gave up waiting for the provider because we said so. */
  giveUpNetwork(): void
  /** How the turn ended, if the root's turn closed for this reason. */
  finish(reason: string): AgentEvent
  /** For what reason the root's turn closed, if its last message says that it did. */
  closedFor(): 'completed' | 'error' | 'interrupted' | undefined
  /** A session of a sub-agent that was born unheard. */
  adopt(sessionId: string): void
  /** The root session and those of its sub-agents. */
  readonly sessions: ReadonlySet<string>
  readonly asks: Asks
  /** The last thing that Kilo complained about in the root session. */
  complaint(): string | undefined
}

export interface TranslatorOptions {
  readonly rootSessionId: string
  readonly relative: RelativePath
  readonly redact: Redact
  readonly now: () => Date
  readonly onInexact: () => void
}

/**
 * One turn of Kilo's, in our words: of the root session everything, of its sub-agents what they do and use (their
 * texts come with the tool that called them). It ends with the turn of the root session.
 */
export function createTurnTranslator(options: TranslatorOptions): TurnTranslator {
  const root = options.rootSessionId
  const sessions = new Set([root])
  const messages = new Map<string, MessageInfo>()
  const texts = createTextParts(options.onInexact)
  const tools = createToolParts(options.relative)
  const asks = createAsks(options.relative)
  const said = new Set<string>()
  let opened = false
  let lastAnswer: MessageInfo | undefined
  let lastError: KiloError | undefined
  let networkGivenUp = false

  /** True the first time: Kilo says most things several times. */
  const once = (thing: string) => !said.has(thing) && said.add(thing) !== undefined

  const learnMessage = (info: MessageInfo) => {
    if (!sessions.has(info.sessionID)) return
    messages.set(info.id, info)
    if (info.sessionID === root && info.role === 'assistant') lastAnswer = info
  }

  const readPart = (part: AnyPart, live: boolean): AgentEvent | undefined => {
    if (!sessions.has(part.sessionID)) return undefined
    if (isTextPart(part)) {
      const message = messages.get(part.messageID)
      const isAnswer = message?.role === 'assistant' && !message.summary
      if (part.sessionID !== root || !isAnswer) return undefined
      const source = part.type === 'text' ? 'assistant' : 'reasoning'
      const final = part.time?.end !== undefined
      return texts.see({ partId: part.id, source, text: part.text, final, live })
    }
    if (isToolPart(part)) return tools.see(part)
    if (isStepFinishPart(part)) return once(part.id) ? usageOf(part, messages) : undefined
    return isIgnoredPart(part.type) ? undefined : stranger(`part:${part.type}`)
  }

  const stranger = (name: string): AgentEvent | undefined =>
    once(`stranger ${name}`) ? { type: 'unrecognised', name } : undefined

  const finish = (reason: string): AgentEvent => {
    const outcome = outcomeOf({ reason, lastAnswer, lastError, networkGivenUp }, options.redact)
    return { type: 'turn.finished', outcome }
  }

  const meaning = ({ name, properties }: KiloEvent): AgentEvent | undefined => {
    switch (name) {
      case 'session.created': {
        const { id, parentID } = properties.info
        if (parentID !== undefined && sessions.has(parentID)) sessions.add(id)
        return undefined
      }
      case 'session.turn.open':
        if (properties.sessionID !== root || opened) return undefined
        opened = true
        return { type: 'turn.opened' }
      case 'session.turn.close':
        return properties.sessionID === root ? finish(properties.reason) : undefined
      case 'session.error':
        if (properties.sessionID === root) lastError ??= properties.error
        return undefined
      case 'session.status':
        return sessions.has(properties.sessionID) ? statusNotice(properties.status) : undefined
      case 'session.compacted':
        return sessions.has(properties.sessionID)
          ? notice('The conversation had become long and was summed up.')
          : undefined
      case 'message.updated':
        learnMessage(properties.info)
        return undefined
      case 'message.part.updated':
        return readPart(properties.part, true)
      case 'message.part.delta':
        return properties.sessionID === root && properties.field === 'text'
          ? texts.append(properties.partID, properties.delta)
          : undefined
      case 'todo.updated':
        return properties.sessionID === root
          ? { type: 'todo.updated', items: properties.todos }
          : undefined
      case 'permission.asked':
        return sessions.has(properties.sessionID) ? asks.permission(properties) : undefined
      case 'question.asked':
        return sessions.has(properties.sessionID) ? asks.question(properties) : undefined
      case 'permission.replied':
      case 'question.replied':
      case 'question.rejected':
        asks.answered(properties.requestID)
        return { type: 'prompt.closed', promptId: properties.requestID }
      // Answered where the provider can be looked at.
      case 'session.network.asked':
        return undefined
    }
  }

  const statusNotice = (status: {
    type: string
    attempt?: number
    message?: string
    next?: number
  }) => {
    if (isIgnoredStatus(status.type)) return undefined
    if (status.type !== 'retry') return stranger(`status:${status.type}`)
    if (!status.attempt || !once(`retry ${status.attempt} ${status.next}`)) return undefined
    const seconds = Math.max(0, ((status.next ?? 0) - options.now().getTime()) / 1000).toFixed(0)
    const words = options.redact(status.message ?? 'nothing')
    return notice(`The model answered “${words}”; trying again in ${seconds} s.`)
  }

  return {
    hear(payload) {
      const event = readEvent(payload)
      const meant = event
        ? meaning(event)
        : isIgnoredEvent(payload.type)
          ? undefined
          : stranger(payload.type)
      return meant ? [meant] : []
    },
    catchUp(info, parts) {
      learnMessage(info)
      return parts.flatMap((part) => readPart(part, false) ?? [])
    },
    tear: texts.tear,
    mend: texts.mend,
    giveUpNetwork: () => {
      networkGivenUp = true
    },
    finish,
    closedFor() {
      if (!lastAnswer?.time.completed) return undefined
      if (!lastAnswer.error) return 'completed'
      return lastAnswer.error.name === 'MessageAbortedError' ? 'interrupted' : 'error'
    },
    adopt: (sessionId) => sessions.add(sessionId),
    sessions,
    asks,
    complaint: () => lastError?.data?.message && options.redact(lastError.data.message)
  }
}

const notice = (text: string): AgentEvent => ({ type: 'notice', text })

function usageOf(part: StepFinishPart, messages: ReadonlyMap<string, MessageInfo>): AgentEvent {
  const message = messages.get(part.messageID)
  const { input, output, reasoning, cache } = part.tokens
  return {
    type: 'usage.reported',
    stepId: part.id,
    agentSessionId: part.sessionID,
    model: `${message?.providerID ?? 'unknown'}/${message?.modelID ?? 'unknown'}`,
    usage: { input, output, reasoning, cacheRead: cache.read, cacheWrite: cache.write },
    costUsd: part.cost
  }
}
