import { messagesOf, type Recording } from '#fixtures'
import type { CatchUpFacts } from '../../supervisor/turn/catch-up.ts'

type Client = Pick<
  CatchUpFacts['client'],
  'statuses' | 'sessions' | 'history' | 'permissions' | 'questions' | 'networkWaits' | 'todos'
>
interface Payload {
  readonly id?: string
  readonly type: string
  readonly properties: Record<string, any>
  readonly syncEvent: { id: string; type: string; seq: number; aggregateID: string; data: unknown }
}

/** A Kilo that has said so much of its recording, and answers what it would have answered then. */
export interface RecordedKilo {
  readonly client: Client
  /** Says the next message; undefined when it has said everything. */
  sayNext(): string | undefined
}

/** `answering` is waited for before a request is looked at, and again before its answer arrives. */
export function recordedKilo(recording: Recording, answering: () => Promise<void>): RecordedKilo {
  const messages = messagesOf(recording.stream).map((message) =>
    message.replace(/^data: /, '').trimEnd()
  )
  const payloads = messages.map((data) => (JSON.parse(data) as { payload: Payload }).payload)
  let said = 0

  const ask = async <T>(
    answer: (heard: readonly Payload[], ids: ReadonlySet<string | undefined>) => T
  ): Promise<T> => {
    await answering()
    const heard = payloads.slice(0, said)
    const told = answer(heard, new Set(heard.map(({ id }) => id)))
    await answering()
    return told
  }

  /** What was asked and not answered; Kilo lists whole requests. */
  const open = (heard: readonly Payload[], asked: string, ends: readonly string[]) => {
    const waiting = new Map<string, any>()
    for (const { type, properties } of heard) {
      if (type === asked) waiting.set(properties['id'], properties)
      if (ends.includes(type)) waiting.delete(properties['requestID'])
    }
    return [...waiting.values()]
  }

  const client: Client = {
    statuses: () =>
      ask((heard) => {
        const statuses = new Map<string, unknown>()
        for (const { type, properties } of heard) {
          if (type !== 'session.status') continue
          if (properties['status'].type === 'idle') statuses.delete(properties['sessionID'])
          else statuses.set(properties['sessionID'], properties['status'])
        }
        return statuses
      }),
    sessions: () =>
      ask((heard) =>
        heard.flatMap(({ type, properties }) =>
          type === 'session.created' ? [properties['info']] : []
        )
      ),
    history: (after) =>
      ask((_, ids) =>
        // A change is written down before it is told, and told before its number is.
        payloads.flatMap(({ type, syncEvent }) => {
          if (type !== 'sync' || !ids.has(syncEvent.id)) return []
          if (syncEvent.seq <= (after[syncEvent.aggregateID] ?? -1)) return []
          const { aggregateID: aggregate_id, ...change } = syncEvent
          return [{ ...change, aggregate_id }]
        })
      ),
    permissions: () => ask((heard) => open(heard, 'permission.asked', ['permission.replied'])),
    questions: () =>
      ask((heard) => open(heard, 'question.asked', ['question.replied', 'question.rejected'])),
    networkWaits: () =>
      ask((heard) =>
        open(heard, 'session.network.asked', [
          'session.network.replied',
          'session.network.rejected'
        ])
      ),
    todos: (sessionID) =>
      ask((heard) => {
        const lists = heard.filter(
          ({ type, properties }) => type === 'todo.updated' && properties['sessionID'] === sessionID
        )
        return lists.at(-1)?.properties['todos'] ?? []
      })
  }
  return { client, sayNext: () => (said < messages.length ? messages[said++] : undefined) }
}
