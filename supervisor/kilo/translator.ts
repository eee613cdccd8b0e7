import type { AgentEvent } from '#kernel/agent-events.ts'
import { sessionOf } from './schemas.ts'
import { createAsks, type Asks } from './asks.ts'
import { isIgnoredEvent, isIgnoredStatus } from './names.ts'
import { createNotices } from './notices.ts'
import { outcomeOf } from './outcome.ts'
import { createPartReader } from './parts.ts'
import type { RelativePath } from './paths.ts'
import {
  readEvent,
  type KiloError,
  type KiloEvent,
  type KiloPayload,
  type MessageInfo,
  type PermissionAsked,
  type SessionStatus
} from './schemas.ts'
import { createTodos, type Todos } from './todos.ts'
import type { Redact } from '../redact.ts'
import { createSessionTree } from './session-tree.ts'

export interface TurnTranslator {
  /** What one frame means for this turn. */
  hear(payload: KiloPayload): AgentEvent[]
  /** The same, of something that was read and not heard: it may be old, or known already. */
  recall(payload: KiloPayload): AgentEvent[]
  /** Whether it comes from a session of this turn. */
  concerns(payload: KiloPayload): boolean
  /** Frames may have been lost. */
  gapOpened(): void
  /** Everything has been read again since. */
  gapClosed(): void
  /** Kilo gave up waiting for the provider because we said so. */
  giveUpNetwork(): void
  /** Kilo does not wait any more for an answer to this permission or question. */
  close(promptId: string): AgentEvent
  /** How the turn ended, if the root's turn closed for this reason. */
  finish(reason: string): AgentEvent
  /** Whether the model has ended an answer that it began after this moment of Kilo's clock. */
  hasAnsweredSince(ms: number): boolean
  /** For what reason the root's turn closed, if its last message says that it did. */
  closedFor(): 'completed' | 'error' | 'interrupted' | undefined
  /** The root session and those of its sub-agents. */
  readonly sessions: ReadonlySet<string>
  readonly asks: Asks
  readonly todos: Pick<Todos, 'heard'>
  /** The last thing that Kilo complained about in the root session. */
  complaint(): string | undefined
}

export interface TranslatorOptions {
  readonly rootSessionId: string
  readonly relative: RelativePath
  readonly redact: Redact
  readonly now: () => Date
  readonly onInexact: () => void
  /** Kilo waits for its provider, and has to be told what to do. */
  readonly onNetworkAsked: (id: string) => void
}

const STRANGE_CHARS_MAX = 100

/**
 * One turn of Kilo's, in our words: of the root session everything, of its sub-agents what they do and use (their
 * texts come with the tool that called them). It ends with the turn of the root session. What becomes of each event,
 * and why, stands in `kilo-decisions.ts`.
 */
export function createTurnTranslator(options: TranslatorOptions): TurnTranslator {
  const root = options.rootSessionId
  const tree = createSessionTree(root)
  const messages = new Map<string, MessageInfo>()
  const asks = createAsks(options.relative)
  const notices = createNotices(options.redact, options.now)
  const todos = createTodos()
  const said = new Set<string>()
  let opened = false
  let lastAnswer: MessageInfo | undefined
  let lastError: KiloError | undefined
  let networkGivenUp = false

  /** Kilo says most things several times. */
  const isFirst = (thing: string) => {
    if (said.has(thing)) return false
    said.add(thing)
    return true
  }
  const stranger = (word: string): AgentEvent | undefined => {
    const name = word.slice(0, STRANGE_CHARS_MAX)
    return isFirst(`stranger ${name}`) ? { type: 'unrecognised', name } : undefined
  }
  const parts = createPartReader({ ...options, messages, todos, stranger })

  const open = (): AgentEvent | undefined => {
    if (opened) return undefined
    opened = true
    return { type: 'turn.opened' }
  }

  /** What is read may be older than what was heard while it was being read. */
  const isOutdated = ({ id, time }: MessageInfo) =>
    messages.get(id)?.time.completed !== undefined && time.completed === undefined

  const learnMessage = (info: MessageInfo, live: boolean) => {
    if (!live && isOutdated(info)) return []
    messages.set(info.id, info)
    const isAnswer = info.sessionID === root && info.role === 'assistant'
    const isLast = live || lastAnswer === undefined || lastAnswer.id <= info.id
    if (isAnswer && isLast) lastAnswer = info
    // What has to be read may have begun unheard; nothing is answered before it does.
    return [isAnswer && !live ? open() : undefined, notices.summary(info)]
  }

  const statusMeans = (status: SessionStatus) => {
    if (isIgnoredStatus(status.type)) return undefined
    return status.type === 'retry' ? notices.retry(status) : stranger(`status:${status.type}`)
  }

  const finish = (reason: string): AgentEvent => {
    const outcome = outcomeOf({ reason, lastAnswer, lastError, networkGivenUp }, options.redact)
    return { type: 'turn.finished', outcome }
  }

  /** Kilo lists what an earlier turn has left unanswered, too. */
  const isOfThisTurn = ({ tool }: Asking, live: boolean) =>
    live || tool === undefined || messages.has(tool.messageID)

  const close = (promptId: string): AgentEvent => {
    asks.answered(promptId)
    return { type: 'prompt.closed', promptId }
  }

  const adopt = (sessionId: string, parentId: string | undefined, live: boolean) =>
    parentId === undefined ? [] : tree.learn(sessionId, parentId).flatMap((p) => read(p, live))

  const meaning = (
    { name, properties }: Exclude<KiloEvent, Birth>,
    live: boolean
  ): readonly (AgentEvent | undefined)[] => {
    switch (name) {
      case 'session.turn.open':
        return [properties.sessionID === root ? open() : undefined]
      case 'session.turn.close':
        return [properties.sessionID === root ? finish(properties.reason) : undefined]
      case 'session.error':
        if (properties.sessionID === root) lastError ??= properties.error
        return []
      case 'session.status':
        return [statusMeans(properties.status)]
      case 'message.updated':
        return learnMessage(properties.info, live)
      case 'message.part.updated': {
        const { part } = properties
        const child = parts.childOf(part)
        return [
          parts.see(part, live),
          ...(child === undefined ? [] : adopt(child, part.sessionID, live))
        ]
      }
      case 'message.part.delta':
        return [parts.append(properties)]
      case 'todo.updated':
        return [properties.sessionID === root ? todos.see(properties.todos, live) : undefined]
      case 'permission.asked':
        return [isOfThisTurn(properties, live) ? asks.permission(properties) : undefined]
      case 'question.asked':
        return [isOfThisTurn(properties, live) ? asks.question(properties) : undefined]
      case 'permission.replied':
      case 'question.replied':
      case 'question.rejected':
        return [close(properties.requestID)]
      case 'session.network.asked':
        if (isFirst(`network ${properties.id}`)) options.onNetworkAsked(properties.id)
        return []
    }
  }

  const notRead = ({ type }: KiloPayload) => {
    if (isIgnoredEvent(type)) return undefined
    // A piece of a text may be what could not be read.
    if (type.startsWith('message.part.')) parts.pieceLost()
    return stranger(type)
  }

  const read = (payload: KiloPayload, live: boolean): AgentEvent[] => {
    const event = readEvent(payload)
    if (!event) return [notRead(payload)].filter((told) => told !== undefined)
    // That a session is born, or has a parent, is for everybody to hear.
    if (isBirth(event)) {
      const { id, parentID } = event.properties.info
      return adopt(id, parentID, live)
    }
    const owner = sessionOf(payload)
    if (owner !== undefined && !tree.members.has(owner)) {
      if (event.name !== 'message.part.delta') tree.keep(owner, payload)
      return []
    }
    return meaning(event, live).filter((told) => told !== undefined)
  }

  return {
    hear: (payload) => read(payload, true),
    recall: (payload) => read(payload, false),
    concerns(payload) {
      const owner = sessionOf(payload)
      return owner !== undefined && tree.members.has(owner)
    },
    gapOpened: parts.gapOpened,
    gapClosed: parts.gapClosed,
    giveUpNetwork: () => {
      networkGivenUp = true
    },
    close,
    finish,
    hasAnsweredSince(ms) {
      const hasEnded = lastAnswer?.finish !== undefined || lastAnswer?.error !== undefined
      return hasEnded && lastAnswer !== undefined && lastAnswer.time.created >= ms
    },
    closedFor() {
      if (!lastAnswer?.time.completed) return undefined
      if (!lastAnswer.error) return 'completed'
      return lastAnswer.error.name === 'MessageAbortedError' ? 'interrupted' : 'error'
    },
    sessions: tree.members,
    asks,
    todos,
    complaint: () => lastError?.data?.message && options.redact(lastError.data.message)
  }
}

type Asking = Pick<PermissionAsked, 'tool'>
type Birth = Extract<KiloEvent, { name: 'session.created' | 'session.updated' }>

const isBirth = (event: KiloEvent): event is Birth =>
  event.name === 'session.created' || event.name === 'session.updated'
