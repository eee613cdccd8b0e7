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

/** A Kilo that has sent a part of its recording, and answers requests as it would have answered them then. */
export interface RecordedKilo {
  readonly client: Client
  /** Sends the next message; undefined after the last one. */
  sendNext(): string | undefined
}

/** `answering` is awaited before a request is handled, and again before its response arrives. */
export function recordedKilo(recording: Recording, answering: () => Promise<void>): RecordedKilo {
  const messages = messagesOf(recording.stream).map((message) =>
    message.replace(/^data: /, '').trimEnd()
  )
  const payloads = messages.map((data) => (JSON.parse(data) as { payload: Payload }).payload)
  let sent = 0

  const ask = async <T>(
    answer: (sent: readonly Payload[], ids: ReadonlySet<string | undefined>) => T
  ): Promise<T> => {
    await answering()
    const soFar = payloads.slice(0, sent)
    const response = answer(soFar, new Set(soFar.map(({ id }) => id)))
    await answering()
    return response
  }

  /** The requests without an answer; Kilo lists them whole. */
  const open = (sent: readonly Payload[], asked: string, ends: readonly string[]) => {
    const waiting = new Map<string, any>()
    for (const { type, properties } of sent) {
      if (type === asked) waiting.set(properties['id'], properties)
      if (ends.includes(type)) waiting.delete(properties['requestID'])
    }
    return [...waiting.values()]
  }

  const client: Client = {
    statuses: () =>
      ask((sent) => {
        const statuses = new Map<string, unknown>()
        for (const { type, properties } of sent) {
          if (type !== 'session.status') continue
          if (properties['status'].type === 'idle') statuses.delete(properties['sessionID'])
          else statuses.set(properties['sessionID'], properties['status'])
        }
        return statuses
      }),
    sessions: () =>
      ask((sent) =>
        sent.flatMap(({ type, properties }) =>
          type === 'session.created' ? [properties['info']] : []
        )
      ),
    history: (after) =>
      ask((_, ids) =>
        // Kilo records a change before it sends the event, and sends the event before its number.
        payloads.flatMap(({ type, syncEvent }) => {
          if (type !== 'sync' || !ids.has(syncEvent.id)) return []
          if (syncEvent.seq <= (after[syncEvent.aggregateID] ?? -1)) return []
          const { aggregateID: aggregate_id, ...change } = syncEvent
          return [{ ...change, aggregate_id }]
        })
      ),
    permissions: () => ask((sent) => open(sent, 'permission.asked', ['permission.replied'])),
    questions: () =>
      ask((sent) => open(sent, 'question.asked', ['question.replied', 'question.rejected'])),
    networkWaits: () =>
      ask((sent) =>
        open(sent, 'session.network.asked', ['session.network.replied', 'session.network.rejected'])
      ),
    todos: (sessionID) =>
      ask((sent) => {
        const lists = sent.filter(
          ({ type, properties }) => type === 'todo.updated' && properties['sessionID'] === sessionID
        )
        return lists.at(-1)?.properties['todos'] ?? []
      })
  }
  return { client, sendNext: () => (sent < messages.length ? messages[sent++] : undefined) }
}
