import type { AgentEvent, TodoItem } from '#kernel/agent-events.ts'

/** The agent's to-do list: emitted when it differs from the previous one. */
export interface Todos {
  see(items: readonly TodoItem[], live: boolean): AgentEvent | undefined
  /** The agent has written its list in this turn. */
  written(): void
  /** Counts the lists of the stream: a list that was requested before the latest of them is older than it. */
  readonly version: number
}

export function createTodos(): Todos {
  let emitted: string | undefined
  let isOfThisTurn = false
  let version = 0

  return {
    see(items, live) {
      // A list that is read may be left over from an earlier turn.
      if (!live && !isOfThisTurn) return undefined
      if (live) version += 1
      const list = JSON.stringify(items)
      if (emitted === list) return undefined
      emitted = list
      return {
        type: 'todo.updated',
        items: items.map(({ content, status, priority }) => ({ content, status, priority }))
      }
    },
    written: () => {
      isOfThisTurn = true
    },
    get version() {
      return version
    }
  }
}
