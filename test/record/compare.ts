import type { AgentEvent } from '#kernel/agent-events.ts'
import { messagesOf, type Recording } from '#fixtures'
import { eventsOf } from './events-of.ts'

/**
 * What two recordings of the same scene have in common: what each session said in which order, the requests and their
 * answers' status, what became of the files, and what the product makes of it. How often Kilo repeats itself, how it
 * cuts texts, and how long things take is left out.
 */
export async function essenceOf(recording: Recording) {
  const { exchanges, files, start, turns, connections } = recording
  return {
    said: saidBySession(recording),
    asked: exchanges.map(({ method, path, status }) => `${method} ${path} ${status}`),
    files: files.map(({ path, content }) => ({ path, content })),
    start,
    turns,
    connections: connections.length,
    events: joined(await eventsOf(recording))
  }
}

/** What differs, by the part of the essence in which it does. */
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

/** Said as often as Kilo pleases, or of no session. */
const UNSTEADY: ReadonlySet<string> = new Set([
  'sync',
  'session.updated',
  'session.diff',
  'message.part.delta',
  'message.updated'
])

function saidBySession({ stream }: Recording): string[] {
  const said = new Map<string, string[]>()
  for (const message of messagesOf(stream)) {
    const { payload } = JSON.parse(message.slice('data: '.length)) as { payload: Payload }
    const { sessionID, reason, status, part } = payload.properties ?? {}
    if (sessionID === undefined || UNSTEADY.has(payload.type)) continue
    const words = [payload.type, reason, status?.type, part?.type, part?.state?.status]
    const line = words.filter((word) => word !== undefined).join(' ')
    const lines = said.get(sessionID) ?? []
    said.set(sessionID, lines)
    if (lines.at(-1) !== line) lines.push(line)
  }
  return [...said].flatMap(([session, lines]) => lines.map((line) => `${session} ${line}`))
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
