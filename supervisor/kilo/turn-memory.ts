import type { AgentEvent } from '#kernel/agent-events.ts'
import type { Redact } from '../redact.ts'
import { createAsks } from './asks.ts'
import { createMessages } from './messages.ts'
import { createNotices } from './notices.ts'
import { createPartReader } from './parts/reader.ts'
import type { RelativePath } from './paths.ts'
import type { KiloError } from './schemas.ts'
import { createSessionTree } from './session-tree.ts'
import { createTodos } from './todos.ts'

export interface TranslatorOptions {
  readonly rootSessionId: string
  readonly relative: RelativePath
  readonly redact: Redact
  readonly now: () => Date
  /** A part's final text does not continue the text that was emitted. */
  readonly onInexact: () => void
  /** Kilo waits for its provider, until it is answered. */
  readonly onNetworkAsked: (id: string) => void
}

/** What the translator knows of one turn. */
export type TurnMemory = ReturnType<typeof createTurnMemory>

const NAME_CHARS_MAX = 100

export function createTurnMemory(options: TranslatorOptions) {
  const { rootSessionId, relative, redact } = options
  const messages = createMessages(rootSessionId)
  const todos = createTodos()
  const seen = new Set<string>()

  /** Kilo repeats most events. */
  const isFirst = (key: string) => {
    if (seen.has(key)) return false
    seen.add(key)
    return true
  }
  const unrecognised = (kiloName: string): AgentEvent | undefined => {
    const name = kiloName.slice(0, NAME_CHARS_MAX)
    return isFirst(`unrecognised ${name}`) ? { type: 'unrecognised', name } : undefined
  }

  return {
    rootSessionId,
    messages,
    todos,
    isFirst,
    unrecognised,
    tree: createSessionTree(rootSessionId),
    asks: createAsks(relative),
    notices: createNotices(redact, options.now),
    parts: createPartReader({
      rootSessionId,
      relative,
      messages: messages.byId,
      todos,
      unrecognised,
      onInexact: options.onInexact
    }),
    lastError: undefined as KiloError | undefined,
    networkRejected: false
  }
}
