import type { AgentEvent, TodoItem } from '#kernel/agent-events.ts'

/** The agent's list of things to do, told when it is another one than before. */
export interface Todos {
  see(items: readonly TodoItem[], live: boolean): AgentEvent | undefined
  /** The agent has written its list in this turn. */
  written(): void
}

export function createTodos(): Todos {
  let told: string | undefined
  let isOurs = false

  return {
    see(items, live) {
      // A list that is read may be left over from an earlier turn.
      if (!live && !isOurs) return undefined
      const said = JSON.stringify(items)
      if (told === said) return undefined
      told = said
      return {
        type: 'todo.updated',
        items: items.map(({ content, status, priority }) => ({ content, status, priority }))
      }
    },
    written: () => {
      isOurs = true
    }
  }
}
