import type { AgentEvent } from '#kernel/agent-events.ts'
import type { KiloClient } from './kilo-client.ts'
import type { TurnTranslator } from './kilo-events.ts'

export interface CatchUpFacts {
  readonly client: KiloClient
  readonly translator: TurnTranslator
  readonly rootSessionId: string
  /** Kilo's clock is ours: what it made before this is of earlier turns. */
  readonly promptedAtMs: number
}

export interface CaughtUp {
  readonly events: readonly AgentEvent[]
  /** Kilo waits for the provider in these. */
  readonly networkWaits: readonly string[]
  /** The root session does nothing any more. */
  readonly idle: boolean
}

/** What happened in a turn while nobody listened: read from Kilo, said in the same words as if it had been heard. */
export async function catchUp(facts: CatchUpFacts): Promise<CaughtUp> {
  const { client, translator } = facts
  await adoptChildren(facts, facts.rootSessionId)

  const events: AgentEvent[] = []
  for (const session of translator.sessions) {
    for (const { info, parts } of await client.messages(session)) {
      if (info.time.created < facts.promptedAtMs) continue
      events.push(...translator.catchUp(info, parts))
    }
  }
  const [permissions, questions, waits, busy] = await Promise.all([
    client.permissions(),
    client.questions(),
    client.networkWaits(),
    client.busySessions()
  ])
  const say = (type: string, properties: unknown) => translator.hear({ type, properties })
  events.push(
    ...permissions.flatMap((asked) => say('permission.asked', asked)),
    ...questions.flatMap((asked) => say('question.asked', asked))
  )
  return {
    events,
    networkWaits: waits.filter((w) => translator.sessions.has(w.sessionID)).map(({ id }) => id),
    idle: !busy.has(facts.rootSessionId)
  }
}

async function adoptChildren(facts: CatchUpFacts, parent: string): Promise<void> {
  for (const child of await facts.client.children(parent)) {
    facts.translator.adopt(child)
    await adoptChildren(facts, child)
  }
}
