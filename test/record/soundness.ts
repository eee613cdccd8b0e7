import { messagesOf, type FileAtStart, type Recording } from '#fixtures'

interface Part {
  readonly id: string
  readonly type: string
  readonly tool?: string
  readonly text?: string
  readonly time?: { readonly end?: number }
  readonly state?: {
    readonly status: string
    readonly input?: { readonly filePath?: string; readonly content?: string }
    readonly metadata?: { readonly filepath?: string }
  }
}

interface SyncRow {
  readonly id: string
  readonly seq: number
}

interface Payload {
  readonly type: string
  readonly properties?: {
    readonly sessionID?: string
    readonly reason?: string
    readonly part?: Part
  }
  readonly syncEvent?: SyncRow & { readonly aggregateID: string }
}

/** The payload of each message. Throws when one is not a whole message of JSON. */
export function payloadsOf({ stream }: Recording): Payload[] {
  return messagesOf(stream).map((message) => {
    const [, data = ''] = /^data: (.*)\n\n$/s.exec(message) ?? []
    return (JSON.parse(data) as { payload: Payload }).payload
  })
}

/** The contradictions in a recording, one sentence each. */
export function complaintsAbout(recording: Recording): string[] {
  const { at, exchanges, files, connections, turns, rootSessionId } = recording
  const payloads = payloadsOf(recording)
  const count = payloads.length
  const complaints: string[] = []
  const expect = (holds: boolean, complaint: string) => holds || complaints.push(complaint)

  expect(messagesOf(recording.stream).join('').length > 0, 'the stream is empty')
  expect(
    Buffer.from(messagesOf(recording.stream).join('')).equals(Buffer.from(recording.stream)),
    'the stream has bytes that are in no message'
  )
  expect(at.length === count, `${at.length} times for ${count} messages`)
  expect(isAscending(at), 'the times go back')
  expect(isAscending(files.map(({ after }) => after)), 'the files go back')
  for (const { after, path } of files) expect(within(after, count), `${path} after ${after}`)
  for (const { after, answeredAfter, method, path } of exchanges) {
    const inOrder = after <= answeredAfter && within(after, count) && within(answeredAfter, count)
    expect(inOrder, `${method} ${path} after ${after}, answered after ${answeredAfter}`)
  }
  for (const { after } of connections) {
    expect(payloads[after]?.type === 'server.connected', `connection ${after} has no greeting`)
  }
  const closed = payloads.filter(
    ({ type, properties }) =>
      type === 'session.turn.close' && properties?.sessionID === rootSessionId
  )
  expect(closed.length === turns, `${closed.length} turns closed, not ${turns}`)
  return [...complaints, ...lostOf(recording, payloads), ...unwritten(recording, payloads)]
}

const within = (after: number, count: number) => after >= 0 && after <= count
const isAscending = (numbers: readonly number[]) =>
  numbers.every((number, index) => index === 0 || number >= numbers[index - 1]!)

/** Kilo numbers the durable changes of a session: none may be missing in an unbroken stream. */
function lostOf({ connections, exchanges }: Recording, payloads: readonly Payload[]): string[] {
  if (connections.length > 1) return []
  const lost: string[] = []
  const received = new Set<string>()
  const next = new Map<string, number>()
  for (const { syncEvent } of payloads) {
    if (!syncEvent) continue
    const { aggregateID, seq } = syncEvent
    const expected = next.get(aggregateID) ?? 0
    if (seq !== expected) lost.push(`${aggregateID}: ${seq} came after ${expected - 1}`)
    next.set(aggregateID, seq + 1)
    received.add(syncEvent.id)
  }
  const history = exchanges.findLast(({ path }) => path === '/sync/history')?.answer as SyncRow[]
  const missing = history
    .filter(({ id }) => !received.has(id))
    .map(({ id }) => `${id} was not sent`)
  return [...lost, ...missing]
}

/** A completed write whose file does not have its content. */
function unwritten({ start, files }: Recording, payloads: readonly Payload[]): string[] {
  return payloads.flatMap(({ type, properties }, index) => {
    const part = properties?.part
    if (type !== 'message.part.updated' || part?.tool !== 'write') return []
    if (part.state?.status !== 'completed') return []
    const path = part.state.metadata?.filepath?.split('/worktree/')[1] ?? ''
    const known = files.filter(({ after }) => after <= index)
    const content = contentOf(path, start, known)
    return content === part.state.input?.content ? [] : [`${path} is not written at ${index}`]
  })
}

function contentOf(
  path: string,
  start: readonly FileAtStart[],
  changes: Recording['files']
): string | null | undefined {
  const all = [...start, ...changes].filter((file) => file.path === path)
  return all.at(-1)?.content
}

/** Every finished text of the root session's answers, as Kilo returns it at the end, by part. */
export function textsAtTheEnd({ exchanges, rootSessionId }: Recording): Map<string, string> {
  const read = exchanges.findLast(
    ({ method, path }) => method === 'GET' && path === `/session/${rootSessionId}/message`
  )
  const messages = (read?.status === 200 ? read.answer : []) as {
    info: { role: string; summary?: unknown }
    parts: Part[]
  }[]
  const texts = messages
    .filter(({ info }) => info.role === 'assistant' && !info.summary)
    .flatMap(({ parts }) => parts)
    .filter(({ type, time }) => ['text', 'reasoning'].includes(type) && time?.end !== undefined)
  return new Map(texts.map(({ id, text = '' }) => [id, text]))
}
