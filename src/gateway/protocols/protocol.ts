import type { Usage } from '#kernel/agent-events.ts'

/** A request's body: what nobody reads is passed on as it came. */
export type Body = Record<string, unknown>

/** Counts one answer while it passes by. */
export interface AnswerCount {
  /** One event of a stream, or a whole answer. */
  read(data: unknown): void
  /** What the provider itself counted, once it has told all of it. */
  told(): Usage | undefined
  /** What is known when it did not: its own numbers where there are some, ours elsewhere. */
  known(inputTokens: number): Usage
}

/** One provider's way of asking and answering, as far as money depends on it. */
export interface ModelProtocol {
  /** What follows the version in its address. */
  readonly path: string
  /** The header of the provider's key. */
  keyHeaders(key: string): Record<string, string>
  /** How many tokens the answer may have, if the request says so. */
  maxTokens(body: Body): number | undefined
  /** Sets that, and asks for usage to be told. False when the body is as it was. */
  prepare(body: Body, maxTokens: number): boolean
  /** Characters of everything that counts as input. */
  promptChars(body: Body): number
  count(): AnswerCount
  /** A refusal of ours, in this provider's form. */
  refusal(type: string, message: string): object
}

/** Where a provider tells nothing: one token for four characters. */
export const tokensOfChars = (chars: number): number => Math.ceil(chars / 4)

export const numberOr = <T>(value: unknown, other: T): number | T =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : other

export const lengthOf = (value: unknown): number => (typeof value === 'string' ? value.length : 0)
