import type { ServerResponse } from 'node:http'
import { cutChars } from '#kernel/text.ts'
import type { AnswerCount, CallIds, ModelProtocol } from '../protocols/protocol.ts'
import type { AgentConnection } from './agent-connection.ts'
import type { Silence } from './silence.ts'

/** An answer of a provider with a good status, on its way to the agent. */
export interface Answering {
  readonly status: number
  readonly contentType: string
  /** Headers that the agent gets. */
  readonly headers: Readonly<Record<string, string>>
  readonly response: ServerResponse
  readonly agent: AgentConnection
  readonly protocol: ModelProtocol
  readonly count: AnswerCount
  readonly callIds: CallIds
  readonly silence: Silence
  readonly mayBeEmpty: boolean
  /** Removes the provider's key from texts. */
  readonly scrub: (text: string) => string
}

/** The answer has ended without content, and should have some. */
export const isMissing = ({ count, mayBeEmpty }: Answering): boolean =>
  !mayBeEmpty && count.isEmpty()

const EXCERPT_CHARS = 200
const ERROR_CHARS = 400
export const EXCERPT_BYTES = 2048
const TYPE = 'invalid_answer'
/** Kilo repeats a request that got it: the next answer may be a good one. */
const BAD_GATEWAY = 502

/** Says what came instead of an answer: its status, its type and its beginning. */
export function complaintOf(
  { status, contentType, scrub }: Answering,
  what: string,
  beginning: Uint8Array
): string {
  const readable = new TextDecoder()
    .decode(beginning)
    .replaceAll(/[\p{C}\s]+/gu, ' ')
    .trim()
  const excerpt = cutChars(scrub(readable), EXCERPT_CHARS)
  const type = contentType === '' ? 'no content type' : contentType
  const quoted = excerpt === '' ? 'an empty body' : `“${excerpt}”`
  return `The model provider ${what} (status ${status}, ${type}): ${quoted}`
}

/** What a provider wrote in an error object that it sent with a good status. */
export const reportedError = ({ scrub }: Answering, message: string): string =>
  `The model provider reported an error in its answer: “${cutChars(scrub(message), ERROR_CHARS)}”`

/** Answers the agent with a failure: with a status where nothing was sent yet, otherwise within the stream. */
export function fail({ response, agent, protocol }: Answering, message: string): void {
  if (agent.gone) return
  if (response.headersSent) return void response.end(protocol.refusalPiece(TYPE, message))
  response.writeHead(BAD_GATEWAY, { 'content-type': 'application/json' })
  response.end(JSON.stringify(protocol.refusal(TYPE, message)))
}
