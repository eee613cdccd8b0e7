import type { Usage } from '#kernel/agent-events.ts'
import { isVisible } from '#kernel/text.ts'

/** The body of a request. */
export type Body = Record<string, unknown>

/**
 * `open`: more will come. `finished`: the reason for the answer's end has come, and its usage may follow. `over`: by the
 * protocol nothing follows, whatever the connection does.
 */
export type AnswerStage = 'open' | 'finished' | 'over'

/** Reads one answer while it is forwarded: its tokens, and how far it has come. */
export interface AnswerCount {
  /** One event of a stream, or a whole answer. */
  read(data: unknown): void
  /** The line that ends a stream of chat completions. */
  done(): void
  stage(): AnswerStage
  /** Grows with each piece of content: text, reasoning, a tool call. Pings and empty pieces are none. */
  content(): number
  /** The answer ended well by the protocol, and has no content although it should. */
  isEmpty(): boolean
  /** What the provider wrote in an error object. */
  failure(): string | undefined
  /** The provider's own count, once it is complete, and only if it can be true. */
  reported(): Usage | undefined
  /** The provider sent a count that cannot be true. */
  isImplausible(): boolean
  /** The best estimate without a complete count: the provider's numbers where there are some, else estimates. */
  known(inputTokens: number): Usage
}

/** Which id each tool call of an answer has. */
export interface CallIds {
  /** The id of the call at this place of the answer, for which the provider has sent this one. */
  idFor(call: unknown, sent: unknown): unknown
}

/** The wire protocol of a provider, as far as metering depends on it. */
export interface ModelProtocol {
  /** The path after the version. */
  readonly path: string
  /** The fields of a request that are sent on; all others are removed. */
  readonly fields: ReadonlySet<string>
  /** The header of the provider's key. */
  keyHeaders(key: string): Record<string, string>
  /** The limit of answer tokens, if the request has one. */
  maxTokens(body: Body): number | undefined
  /** Whether a tool of the request runs at the agent, and not at the provider, where it costs more than tokens. */
  isOwnTool(tool: Record<string, unknown>): boolean
  /** Sets that limit and requests usage. */
  prepare(body: Body, maxTokens: number): void
  /** Whether the request ends with results of tools: then the model may have nothing to add. */
  endsWithResults(body: Body): boolean
  /** Characters of everything that counts as input. */
  promptChars(body: Body): number
  count(): AnswerCount
  /** Sets the ids of the tool calls in an event or a whole answer. True if one has changed. */
  setCallIds(data: Body, ids: CallIds): boolean
  /** A refusal of the gateway in the provider's error format. */
  refusal(type: string, message: string): object
  /** The same as a piece of a stream. */
  refusalPiece(type: string, message: string): string
  /** An event as a piece of a stream. */
  piece(event: Body): string
  /** The stream that says the same as a whole answer. */
  streamOf(whole: Record<string, unknown>): string
}

/** An estimate where a provider reports no usage: one token per four characters. */
export const tokensOfChars = (chars: number): number => Math.ceil(chars / 4)

export const numberOr = <T>(value: unknown, other: T): number | T =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : other

/** Collects the texts of an answer: how long they are, and whether they say something. */
export function createContentCount() {
  let chars = 0
  let pieces = 0
  return {
    text(value: unknown) {
      if (typeof value !== 'string') return
      chars += value.length
      if (isVisible(value)) pieces += 1
    },
    /** A call says something even without arguments. */
    call(name: unknown) {
      if (typeof name === 'string' && name !== '') pieces += 1
    },
    chars: () => chars,
    pieces: () => pieces
  }
}

/**
 * How far an answer has come by its protocol. With the reasons in `cutShort` an answer may end before its first visible
 * character.
 */
export function createProgress(pieces: () => number, cutShort: ReadonlySet<string>) {
  let stage: AnswerStage = 'open'
  let reason: string | undefined
  let error: string | undefined

  return {
    /** The provider has sent why the answer ends; the last reason counts. */
    finish(given: string | null | undefined) {
      reason = given ?? reason
      if (stage === 'open') stage = 'finished'
    },
    done: () => void (stage = 'over'),
    /** Reads an error object, which ends the answer; the first one counts. */
    readError(given: unknown) {
      if (given === undefined || given === null) return
      error ??= messageOf(given)
      stage = 'over'
    },
    stage: () => stage,
    failure: () => error,
    isEmpty: () =>
      stage !== 'open' && error === undefined && pieces() === 0 && !cutShort.has(reason ?? '')
  }
}

/** The message of an error object; a short form of anything else. */
function messageOf(error: unknown): string {
  const message = (error as { message?: unknown } | null)?.message
  if (typeof message === 'string' && message !== '') return message
  return typeof error === 'string' ? error : JSON.stringify(error)
}
