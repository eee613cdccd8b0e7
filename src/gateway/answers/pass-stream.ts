import { Buffer } from 'node:buffer'
import { createEventReader } from './answer-reader.ts'
import {
  complaintOf,
  EXCERPT_BYTES,
  fail,
  isMissing,
  reportedError,
  type Answering
} from './answering.ts'
import { passWhole } from './pass-whole.ts'

/** A line of an event stream: a field with its colon, or a comment. */
const EVENT_LINE = /^(data|event|id|retry)?:/
/** Enough for the byte order mark, empty lines and the first field. */
const SNIFF_BYTES = 64

/**
 * Passes the answer to a request for a stream on. What it is decides its content, not its type: some providers call a
 * stream something else, and some answer with a whole JSON object.
 */
export async function passStreamed(
  answering: Answering,
  body: AsyncIterator<Uint8Array>
): Promise<void> {
  const { status, headers, response, contentType } = answering
  const open = () => {
    if (response.headersSent) return
    response.writeHead(status, { ...headers, 'content-type': 'text/event-stream' })
    response.flushHeaders()
  }
  // The agent's own timeout for headers runs, and a model may think for long before its first byte.
  if (contentType.toLowerCase().includes('text/event-stream')) open()
  const { beginning, ended } = await readBeginning(body)
  const rest = continued(beginning, body, ended)
  if (beginning.length > 0 && !isEvents(beginning)) return passWhole(answering, rest, true)
  if (beginning.length > 0) open()
  await passEvents(answering, rest)
}

/**
 * Passes whole events on until the answer is over by its protocol. The end of an answer without content is held
 * back: it becomes a failure, and so does a stream that ends before the protocol says that it has.
 */
async function passEvents(answering: Answering, body: AsyncIterable<Uint8Array>): Promise<void> {
  const { response, agent, count, silence } = answering
  const reader = createEventReader(answering)
  let beginning = Buffer.alloc(0)
  const pass = async (events: Uint8Array) => {
    silence.look()
    const isHeld = events.length === 0 || isMissing(answering) || count.failure() !== undefined
    const waiting = isHeld ? undefined : agent.write(events)
    if (waiting) await silence.during(waiting)
  }
  try {
    for await (const chunk of body) {
      if (beginning.length < EXCERPT_BYTES) beginning = Buffer.concat([beginning, chunk])
      await pass(reader.feed(chunk))
      if (count.stage() === 'over') break
    }
  } catch (error) {
    reader.end()
    // By its protocol the answer has ended, and the provider did not close the connection.
    if (!silence.signal.aborted || count.stage() === 'open') throw error
  }
  await pass(reader.end())

  const complain = (what: string) =>
    fail(answering, complaintOf(answering, what, beginning.subarray(0, EXCERPT_BYTES)))
  const failure = count.failure()
  if (failure !== undefined) return fail(answering, reportedError(answering, failure))
  if (beginning.length === 0) return complain('answered with nothing')
  if (isMissing(answering)) return complain('sent an answer without content')
  if (count.stage() === 'open') return complain('ended its answer in the middle')
  response.end()
}

async function readBeginning(body: AsyncIterator<Uint8Array>) {
  let beginning = Buffer.alloc(0)
  while (textOf(beginning) === '' && beginning.length < SNIFF_BYTES) {
    const next = await body.next()
    if (next.done) return { beginning, ended: true }
    beginning = Buffer.concat([beginning, next.value])
  }
  return { beginning, ended: false }
}

async function* continued(
  first: Uint8Array,
  rest: AsyncIterator<Uint8Array>,
  ended: boolean
): AsyncGenerator<Uint8Array> {
  if (first.length > 0) yield first
  if (ended) return
  for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value
}

/** Its first characters without a byte order mark and empty lines. */
const textOf = (bytes: Uint8Array) =>
  new TextDecoder().decode(bytes.subarray(0, SNIFF_BYTES)).trimStart()

/** A beginning that is cut within its first field is taken for events, as is an empty one. */
function isEvents(bytes: Uint8Array): boolean {
  const text = textOf(bytes)
  return (
    text === '' ||
    EVENT_LINE.test(text) ||
    /^(d|da|dat|data|e|ev|eve|even|event|i|id|r|re|ret|retr|retry)$/.test(text)
  )
}
