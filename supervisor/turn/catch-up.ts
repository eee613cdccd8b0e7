import type { AgentEvent } from '#kernel/agent-events.ts'
import type { KiloClient, KiloSession } from '../kilo/client.ts'
import { isMessageUpdated, type HistoryEvent } from '../kilo/schemas.ts'
import type { TurnTranslator } from '../kilo/translator.ts'
import type { SequenceTracker } from '../stream/sequence.ts'

export interface CatchUpFacts {
  readonly client: Pick<
    KiloClient,
    'statuses' | 'sessions' | 'history' | 'permissions' | 'questions' | 'networkWaits' | 'todos'
  >
  readonly sequence: SequenceTracker
  readonly translator: TurnTranslator
  readonly rootSessionId: string
  /** When the prompt was sent. Kilo runs on this machine, so both read the same clock. */
  readonly promptedAtMs: number
  readonly emit: (event: AgentEvent) => void
}

/** A cursor past the end: Kilo returns no history for this session. */
const SKIP_HISTORY = Number.MAX_SAFE_INTEGER

/**
 * Emits the missed events of a turn in their order: reads them from Kilo, and translates them as the stream would have
 * been. Each event is emitted once, however often it is read. Resolves with whether the root session is idle.
 */
export async function catchUp(facts: CatchUpFacts): Promise<{ readonly idle: boolean }> {
  const { client, translator, rootSessionId, emit } = facts
  const replay = (type: string, properties: unknown) =>
    translator.translateMissed({ type, properties }).forEach(emit)

  // Read first: everything that an idle session emitted is part of what is read after its status.
  const statuses = await client.statuses()
  const sessions = await client.sessions()
  for (const info of sessions) replay('session.created', { info })
  const openBefore = translator.asks.open()
  const { version } = translator.todos
  const [history, permissions, questions, waits, todos] = await Promise.all([
    client.history(cursorsOf(facts, sessions)),
    client.permissions(),
    client.questions(),
    client.networkWaits(),
    client.todos(rootSessionId)
  ])

  // Synchronous from here on: no live event may come between the parts of what was read.
  replayHistory(facts, history, replay)
  // The event that opened the turn may have been missed.
  if (statuses.has(rootSessionId) || translator.hasAnsweredSince(facts.promptedAtMs)) {
    replay('session.turn.open', { sessionID: rootSessionId })
  }
  for (const [sessionID, status] of statuses) replay('session.status', { sessionID, status })
  // A live list that arrived meanwhile is newer than the one that was read.
  if (translator.todos.version === version) {
    replay('todo.updated', { sessionID: rootSessionId, todos })
  }
  for (const asked of permissions) replay('permission.asked', asked)
  for (const asked of questions) replay('question.asked', asked)
  for (const asked of waits) replay('session.network.asked', asked)

  const open = new Set([...permissions, ...questions].map(({ id }) => id))
  for (const { id } of openBefore) if (!open.has(id)) emit(translator.close(id))
  return { idle: !statuses.has(rootSessionId) }
}

/**
 * The cursor of each session. Kilo returns the whole history of a session without a cursor: right for a child whose
 * creation was missed, and for no other session.
 */
const cursorsOf = (
  { translator, sequence }: Pick<CatchUpFacts, 'translator' | 'sequence'>,
  sessions: readonly KiloSession[]
) =>
  Object.fromEntries(
    sessions.flatMap(({ id }) => {
      const seq = translator.sessions.has(id) ? sequence.lastSeq(id) : SKIP_HISTORY
      return seq === undefined ? [] : [[id, seq]]
    })
  )

/** Replays every durable change of the turn's sessions since their cursors, and moves the cursors. */
function replayHistory(
  facts: CatchUpFacts,
  history: readonly HistoryEvent[],
  replay: (type: string, properties: unknown) => void
): void {
  for (const change of history) {
    if (!isOfEarlierTurn(facts, change)) replay(change.type.replace(/\.\d+$/, ''), change.data)
  }
  const { sequence, translator } = facts
  for (const { aggregate_id, seq } of history) {
    if (translator.sessions.has(aggregate_id)) sequence.markRead(aggregate_id, seq)
  }
}

/** A conversation that continues after a restart has no cursor yet and is read from its beginning. */
const isOfEarlierTurn = (
  { promptedAtMs }: Pick<CatchUpFacts, 'promptedAtMs'>,
  { type, data }: HistoryEvent
): boolean =>
  type.startsWith('message.updated') &&
  isMessageUpdated(data) &&
  data.info.time.created < promptedAtMs
