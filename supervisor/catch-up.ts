import type { AgentEvent } from '#kernel/agent-events.ts'
import type { Hearing } from './hearing.ts'
import type { KiloClient, KiloSession } from './kilo-client.ts'
import type { TurnTranslator } from './kilo-events.ts'
import { isMessageUpdated, type HistoryEvent } from './kilo-schemas.ts'

export interface CatchUpFacts {
  readonly client: KiloClient
  readonly hearing: Hearing
  readonly translator: TurnTranslator
  readonly rootSessionId: string
  /** When the prompt was sent. Kilo's clock is ours. */
  readonly promptedAtMs: number
}

export interface CaughtUp {
  readonly events: readonly AgentEvent[]
  /** The root session does nothing any more. */
  readonly idle: boolean
}

/** As the last number heard of a session whose history nobody wants. */
const ALL_OF_IT = Number.MAX_SAFE_INTEGER

/**
 * What happened in a turn while nobody listened, in the order in which it happened: read from Kilo, said in the same
 * words as if it had been heard, and only what is new.
 */
export async function catchUp(facts: CatchUpFacts): Promise<CaughtUp> {
  const { client, translator, rootSessionId } = facts
  // Asked first: what is idle now has said everything by the time that the rest is read.
  const statuses = await client.statuses()
  const waiting = translator.asks.open()
  const events = await readHistory(facts, await client.sessions())
  const [permissions, questions, waits, todos] = await Promise.all([
    client.permissions(),
    client.questions(),
    client.networkWaits(),
    client.todos(rootSessionId)
  ])
  const say = (type: string, properties: unknown) =>
    events.push(...translator.recall({ type, properties }))

  if (statuses.has(rootSessionId)) say('session.turn.open', { sessionID: rootSessionId })
  for (const [sessionID, status] of statuses) say('session.status', { sessionID, status })
  say('todo.updated', { sessionID: rootSessionId, todos })
  for (const asked of permissions) say('permission.asked', asked)
  for (const asked of questions) say('question.asked', asked)
  for (const asked of waits) say('session.network.asked', asked)

  const open = new Set([...permissions, ...questions].map(({ id }) => id))
  for (const { id: requestID } of waiting) {
    if (open.has(requestID)) continue
    say('permission.replied', { sessionID: rootSessionId, requestID })
  }
  return { events, idle: !statuses.has(rootSessionId) }
}

/** Every durable change since the last one that was heard, of all sessions of the turn. */
async function readHistory(
  facts: CatchUpFacts,
  sessions: readonly KiloSession[]
): Promise<AgentEvent[]> {
  const { hearing, translator } = facts
  const family = sessions.flatMap((info) =>
    translator.recall({ type: 'session.created', properties: { info } })
  )
  // Who is not listed is told of in full: right for a child whose birth was missed, and nobody else.
  const after = Object.fromEntries(
    sessions.flatMap(({ id }) => {
      const seq = translator.sessions.has(id) ? hearing.lastSeq(id) : ALL_OF_IT
      return seq === undefined ? [] : [[id, seq]]
    })
  )
  const history = await facts.client.history(after)
  const told = history
    .filter((change) => !isOfEarlierTurn(facts, change))
    .flatMap(({ type, data }) =>
      translator.recall({ type: type.replace(/\.\d+$/, ''), properties: data })
    )
  for (const { aggregate_id, seq } of history) {
    if (translator.sessions.has(aggregate_id)) hearing.reached(aggregate_id, seq)
  }
  return [...family, ...told]
}

/** A conversation that goes on after a restart is read from its beginning: nothing was heard of it before. */
function isOfEarlierTurn(facts: CatchUpFacts, { aggregate_id, type, data }: HistoryEvent): boolean {
  if (aggregate_id !== facts.rootSessionId || !type.startsWith('message.updated')) return false
  return isMessageUpdated(data) && data.info.time.created < facts.promptedAtMs
}
