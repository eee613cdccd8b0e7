import type { Usage } from '#kernel/agent-events.ts'

/** The body of a request; unknown fields are forwarded unchanged. */
export type Body = Record<string, unknown>

/** Counts the tokens of one answer while it is forwarded. */
export interface AnswerCount {
  /** One event of a stream, or a whole answer. */
  read(data: unknown): void
  /** The provider's own count, once it is complete. */
  reported(): Usage | undefined
  /** The best estimate without a complete count: the provider's numbers where there are some, else estimates. */
  known(inputTokens: number): Usage
}

/** The wire protocol of a provider, as far as metering depends on it. */
export interface ModelProtocol {
  /** The path after the version. */
  readonly path: string
  /** The header of the provider's key. */
  keyHeaders(key: string): Record<string, string>
  /** The limit of answer tokens, if the request has one. */
  maxTokens(body: Body): number | undefined
  /** Sets that limit and requests usage. False when the body is unchanged. */
  prepare(body: Body, maxTokens: number): boolean
  /** Characters of everything that counts as input. */
  promptChars(body: Body): number
  count(): AnswerCount
  /** A refusal of the gateway in the provider's error format. */
  refusal(type: string, message: string): object
}

/** An estimate where a provider reports no usage: one token per four characters. */
export const tokensOfChars = (chars: number): number => Math.ceil(chars / 4)

export const numberOr = <T>(value: unknown, other: T): number | T =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : other

export const lengthOf = (value: unknown): number => (typeof value === 'string' ? value.length : 0)
