import type { AgentEvent } from '#kernel/agent-events.ts'
import { messagesOf, STABLE, type Recording } from '#fixtures'
import { createTurnTranslator } from '../../supervisor/kilo/translator.ts'
import { createRelativePath } from '../../supervisor/kilo/paths.ts'
import { isFrame } from '../../supervisor/kilo/schemas.ts'
import { createRedact } from '../../supervisor/redact.ts'
import { readSse } from '../../supervisor/stream/read-sse.ts'

/** The events of all turns of a recording's root session: each turn starts where the previous one ended. */
export async function eventsOf(
  recording: Recording,
  body: AsyncIterable<Uint8Array> = whole(recording.stream)
): Promise<AgentEvent[]> {
  const events: AgentEvent[] = []
  let index = 0
  const turn = () =>
    createTurnTranslator({
      rootSessionId: recording.rootSessionId,
      relative: createRelativePath([STABLE.worktree]),
      redact: createRedact([]),
      now: () => new Date(STABLE.epochMs + (recording.at[index] ?? 0)),
      onInexact: () => {
        throw new Error(`${recording.scene}: a text is not what its pieces were`)
      },
      onNetworkAsked: () => {}
    })

  // A new connection is a new process: the turn of the previous one has ended with it.
  const beginnings = new Set(recording.connections.map(({ after }) => after))
  let translator = turn()
  for await (const data of readSse(body)) {
    if (beginnings.has(index)) translator = turn()
    const frame: unknown = JSON.parse(data)
    const translated = isFrame(frame) ? translator.translate(frame.payload) : []
    events.push(...translated)
    if (translated.some(({ type }) => type === 'turn.finished')) translator = turn()
    index += 1
  }
  if (index !== messagesOf(recording.stream).length)
    throw new Error('a message of the recording was not read')
  return events
}

async function* whole(stream: Uint8Array) {
  yield stream
}
