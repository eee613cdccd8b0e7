import type { AgentEvent, TodoItem } from '#kernel/agent-events.ts'

/** The agent's list of things to do, told when it is another one than before. */
export interface Todos {
  see(items: readonly TodoItem[], live: boolean): AgentEvent | undefined
  /** The agent has written its list in this turn. */
  written(): void
  /** How often it was heard: a list that was asked for before the last time is older. */
  readonly heard: number
}

export function createTodos(): Todos {
  let told: string | undefined
  let isOurs = false
  let heard = 0

  return {
    see(items, live) {
      // A list that is read may be left over from an earlier turn.
      if (!live && !isOurs) return undefined
      if (live) heard += 1
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
    },
    get heard() {
      return heard
    }
  }
}
