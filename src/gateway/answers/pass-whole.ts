import { Buffer } from 'node:buffer'
import { LIMITS } from '#kernel/limits.ts'
import { parsed } from './answer-reader.ts'
import {
  complaintOf,
  EXCERPT_BYTES,
  fail,
  isMissing,
  reportedError,
  type Answering
} from './answering.ts'

/**
 * Passes a whole JSON answer on, as a stream if the agent has asked for one. A body that is no answer becomes a failure
 * that says what came.
 */
export async function passWhole(
  answering: Answering,
  body: AsyncIterable<Uint8Array>,
  asStream: boolean
): Promise<void> {
  const { status, headers, response, agent, protocol, count } = answering
  const bytes = await collect(body)
  const complain = (what: string) =>
    fail(
      answering,
      complaintOf(answering, what, (bytes ?? Buffer.alloc(0)).subarray(0, EXCERPT_BYTES))
    )
  if (!bytes) return complain('sent an answer that is too large')

  const answer = parsed(bytes.toString())
  if (!answer)
    return complain(bytes.length === 0 ? 'answered with nothing' : 'did not send an answer')
  count.read(answer)
  const failure = count.failure()
  if (failure !== undefined) return fail(answering, reportedError(answering, failure))
  if (count.stage() === 'open') return complain('did not send an answer')
  if (isMissing(answering)) return complain('sent an answer without content')
  if (agent.gone) return
  const isChanged = protocol.setCallIds(answer, answering.callIds)
  const type = asStream ? 'text/event-stream' : 'application/json'
  if (!response.headersSent) response.writeHead(status, { ...headers, 'content-type': type })
  if (asStream) response.end(protocol.streamOf(answer))
  else response.end(isChanged ? JSON.stringify(answer) : bytes)
}

/** Undefined when the body is too large. */
async function collect(body: AsyncIterable<Uint8Array>): Promise<Buffer | undefined> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of body) {
    size += chunk.length
    if (size > LIMITS.modelAnswerBytesMax) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
