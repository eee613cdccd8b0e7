import type { AgentEvent } from '#kernel/agent-events.ts'
import { messagesOf, type Recording } from '#fixtures'
import { eventsOf } from './events-of.ts'

/**
 * The part of a recording that is the same in every run of its scene: the events of each session in their order, the
 * requests and the status of their responses, the files, and our own events. Repeats, the chunks of texts and times are
 * left out.
 */
export async function essenceOf(recording: Recording) {
  const { exchanges, files, start, turns, connections } = recording
  return {
    sent: sentBySession(recording),
    requests: exchanges.map(({ method, path, status }) => `${method} ${path} ${status}`),
    files: files.map(({ path, content }) => ({ path, content })),
    start,
    turns,
    connections: connections.length,
    events: joined(await eventsOf(recording))
  }
}

/** The differences, by part. */
export async function differences(stored: Recording, fresh: Recording): Promise<string[]> {
  const [before, after] = await Promise.all([essenceOf(stored), essenceOf(fresh)])
  return (Object.keys(before) as (keyof typeof before)[]).flatMap((part) => {
    const [was, is] = [lines(before[part]), lines(after[part])]
    const at = was.findIndex((line, index) => line !== is[index])
    if (at < 0 && was.length === is.length) return []
    const place = at < 0 ? was.length : at
    return [`${part}: was ${was[place] ?? 'over'}, is ${is[place] ?? 'over'}`]
  })
}

const lines = (value: unknown): string[] =>
  Array.isArray(value) ? value.map((item) => JSON.stringify(item)) : [JSON.stringify(value)]

interface Payload {
  readonly type: string
  readonly properties?: {
    readonly sessionID?: string
    readonly reason?: string
    readonly status?: { readonly type: string }
    readonly part?: { readonly type: string; readonly state?: { readonly status: string } }
    readonly info?: { readonly role?: string }
  }
}

/** Events whose number varies, or that belong to no session. */
const UNSTEADY: ReadonlySet<string> = new Set([
  'sync',
  'session.updated',
  'session.diff',
  'message.part.delta',
  'message.updated'
])

function sentBySession({ stream }: Recording): string[] {
  const sent = new Map<string, string[]>()
  for (const message of messagesOf(stream)) {
    const { payload } = JSON.parse(message.slice('data: '.length)) as { payload: Payload }
    const { sessionID, reason, status, part } = payload.properties ?? {}
    if (sessionID === undefined || UNSTEADY.has(payload.type)) continue
    const words = [payload.type, reason, status?.type, part?.type, part?.state?.status]
    const line = words.filter((word) => word !== undefined).join(' ')
    const lines = sent.get(sessionID) ?? []
    sent.set(sessionID, lines)
    if (lines.at(-1) !== line) lines.push(line)
  }
  return [...sent].flatMap(([session, lines]) => lines.map((line) => `${session} ${line}`))
}

function joined(events: readonly AgentEvent[]): AgentEvent[] {
  const all: AgentEvent[] = []
  for (const event of events) {
    const last = all.at(-1)
    if (
      event.type === 'text.appended' &&
      last?.type === event.type &&
      last.partId === event.partId
    ) {
      all[all.length - 1] = { ...last, text: last.text + event.text }
    } else if (event.type === 'notice') {
      all.push({ ...event, text: event.text.replace(/in \d+ s/, 'soon') })
    } else {
      all.push(event)
    }
  }
  return all
}
