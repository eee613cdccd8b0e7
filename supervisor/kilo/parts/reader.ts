import type { AgentEvent } from '#kernel/agent-events.ts'
import { isIgnoredPart } from '../known-names.ts'
import type { RelativePath } from '../paths.ts'
import {
  isStepFinishPart,
  isTextPart,
  isToolPart,
  type AnyPart,
  type KiloEvent,
  type MessageInfo,
  type StepFinishPart,
  type TextPart
} from '../schemas.ts'
import { createTextParts } from './text.ts'
import type { Todos } from '../todos.ts'
import { createToolParts } from './tools.ts'

type Delta = Extract<KiloEvent, { name: 'message.part.delta' }>['properties']

export interface PartReaderOptions {
  readonly rootSessionId: string
  readonly relative: RelativePath
  /** The messages of this turn. */
  readonly messages: ReadonlyMap<string, MessageInfo>
  readonly todos: Todos
  readonly unrecognised: (kiloName: string) => AgentEvent | undefined
  readonly onInexact: () => void
}

/** Translates the parts of a turn's messages: texts, tools and usage, each once. */
export function createPartReader(options: PartReaderOptions) {
  const { rootSessionId, messages } = options
  const texts = createTextParts(options.onInexact)
  const tools = createToolParts(options.relative)
  const steps = new Set<string>()

  const seeText = (part: TextPart, live: boolean) => {
    const message = messages.get(part.messageID)
    const isAnswer = message?.role === 'assistant' && !message.summary
    if (part.sessionID !== rootSessionId || !isAnswer) return undefined
    const source = part.type === 'text' ? 'assistant' : 'reasoning'
    const final = part.time?.end !== undefined
    return texts.see({ partId: part.id, source, text: part.text, final, live })
  }

  const seeStep = (part: StepFinishPart) => {
    if (steps.has(part.id)) return undefined
    steps.add(part.id)
    return usageOf(part, messages.get(part.messageID))
  }

  return {
    see(part: AnyPart, live: boolean): AgentEvent | undefined {
      // A part of an earlier turn: a read returns such parts, and Kilo changes them when it shortens a conversation.
      if (!messages.has(part.messageID)) return undefined
      if (isTextPart(part)) return seeText(part, live)
      if (isToolPart(part)) {
        if (part.tool === 'todowrite') options.todos.written()
        return tools.see(part)
      }
      if (isStepFinishPart(part)) return seeStep(part)
      if (isIgnoredPart(part.type)) return undefined
      if (part.type === 'text' || part.type === 'reasoning') texts.pieceLost()
      return options.unrecognised(`part:${part.type}`)
    },

    append: ({ sessionID, field, partID, delta }: Delta) =>
      sessionID === rootSessionId && field === 'text' ? texts.append(partID, delta) : undefined,

    /** The session of the sub-agent that this tool call started. */
    childOf(part: AnyPart): string | undefined {
      if (!isToolPart(part) || part.tool !== 'task') return undefined
      const { sessionId } = (part.state.metadata ?? {}) as { sessionId?: unknown }
      return typeof sessionId === 'string' ? sessionId : undefined
    },

    gapOpened: texts.gapOpened,
    gapClosed: texts.gapClosed,
    pieceLost: texts.pieceLost
  }
}

function usageOf(part: StepFinishPart, message: MessageInfo | undefined): AgentEvent {
  const { input, output, reasoning, cache } = part.tokens
  return {
    type: 'usage.reported',
    stepId: part.id,
    agentSessionId: part.sessionID,
    model: `${message?.providerID ?? 'unknown'}/${message?.modelID ?? 'unknown'}`,
    usage: {
      input: tokensOf(input),
      output: tokensOf(output),
      reasoning: tokensOf(reasoning),
      cacheRead: tokensOf(cache.read),
      cacheWrite: tokensOf(cache.write)
    },
    costUsd: part.cost
  }
}

/** More than any context has. */
const TOKENS_MAX = 1_000_000_000

/** Kilo passes numbers of a provider on as they are, and the agent could report any: fractions, negative and absurd ones. */
const tokensOf = (reported: number): number =>
  Number.isFinite(reported) ? Math.min(TOKENS_MAX, Math.max(0, Math.round(reported))) : 0
