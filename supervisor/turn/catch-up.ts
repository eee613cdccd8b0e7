import type { AgentEvent } from '#kernel/agent-events.ts'
import type { SequenceTracker } from '../stream/sequence.ts'
import type { KiloClient, KiloSession } from '../kilo/client.ts'
import type { TurnTranslator } from '../kilo/translator.ts'
import { isMessageUpdated, type HistoryEvent } from '../kilo/schemas.ts'

export interface CatchUpFacts {
  readonly client: KiloClient
  readonly sequence: SequenceTracker
  readonly translator: TurnTranslator
  readonly rootSessionId: string
  /** When the prompt was sent. Kilo's clock is ours. */
  readonly promptedAtMs: number
  readonly give: (event: AgentEvent) => void
}

/** As the last number heard of a session whose history nobody wants. */
const ALL_OF_IT = Number.MAX_SAFE_INTEGER

/**
 * Gives what happened in a turn while nobody listened, in the order in which it happened: read from Kilo, said in the
 * same words as if it had been heard, and only what is new. Answers whether the root session does nothing any more.
 */
export async function catchUp(facts: CatchUpFacts): Promise<{ readonly idle: boolean }> {
  const { client, translator, rootSessionId, give } = facts
  const say = (type: string, properties: unknown) =>
    translator.recall({ type, properties }).forEach(give)

  // Asked first: what is idle now has said everything by the time that the rest is read.
  const statuses = await client.statuses()
  const sessions = await client.sessions()
  for (const info of sessions) say('session.created', { info })
  const waiting = translator.asks.open()
  const { heard } = translator.todos
  const [history, permissions, questions, waits, todos] = await Promise.all([
    client.history(lastHeard(facts, sessions)),
    client.permissions(),
    client.questions(),
    client.networkWaits(),
    client.todos(rootSessionId)
  ])

  // From here on nothing is waited for: what counts as said is given in the same breath, and nothing is told in between.
  tellHistory(facts, history, say)
  // That it began may not have been heard.
  if (statuses.has(rootSessionId) || translator.hasAnsweredSince(facts.promptedAtMs)) {
    say('session.turn.open', { sessionID: rootSessionId })
  }
  for (const [sessionID, status] of statuses) say('session.status', { sessionID, status })
  if (translator.todos.heard === heard) say('todo.updated', { sessionID: rootSessionId, todos })
  for (const asked of permissions) say('permission.asked', asked)
  for (const asked of questions) say('question.asked', asked)
  for (const asked of waits) say('session.network.asked', asked)

  const open = new Set([...permissions, ...questions].map(({ id }) => id))
  for (const { id } of waiting) if (!open.has(id)) give(translator.close(id))
  return { idle: !statuses.has(rootSessionId) }
}

/**
 * How far each session was heard. Who is not listed is told of in full: right for a child whose birth was missed, and
 * nobody else.
 */
const lastHeard = ({ translator, sequence }: CatchUpFacts, sessions: readonly KiloSession[]) =>
  Object.fromEntries(
    sessions.flatMap(({ id }) => {
      const seq = translator.sessions.has(id) ? sequence.lastSeq(id) : ALL_OF_IT
      return seq === undefined ? [] : [[id, seq]]
    })
  )

/** Every durable change since the last one that was heard, of all sessions of the turn. */
function tellHistory(
  facts: CatchUpFacts,
  history: readonly HistoryEvent[],
  say: (type: string, properties: unknown) => void
): void {
  for (const change of history) {
    if (!isOfEarlierTurn(facts, change)) say(change.type.replace(/\.\d+$/, ''), change.data)
  }
  const { sequence, translator } = facts
  for (const { aggregate_id, seq } of history) {
    if (translator.sessions.has(aggregate_id)) sequence.markRead(aggregate_id, seq)
  }
}

/** A conversation that goes on after a restart is read from its beginning: nothing was heard of it before. */
const isOfEarlierTurn = ({ promptedAtMs }: CatchUpFacts, { type, data }: HistoryEvent): boolean =>
  type.startsWith('message.updated') &&
  isMessageUpdated(data) &&
  data.info.time.created < promptedAtMs
