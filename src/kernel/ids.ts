import { randomInt } from 'node:crypto'
import { monotonicFactory } from 'ulid'

declare const brand: unique symbol

/** A text that names one thing of one kind: `prj_` and 26 characters of ULID. */
export type Id<Kind extends string> = string & { readonly [brand]: Kind }

export type UserId = Id<'usr'>
export type ProjectId = Id<'prj'>
export type SessionId = Id<'ses'>
export type JobId = Id<'job'>
export type TransactionId = Id<'txn'>
export type EventId = Id<'evt'>
export type RequestId = Id<'req'>

const RANDOM_BITS = 2 ** 32
/** Node draws random numbers from a store; the library by itself asks the system for each letter (measured: 80 µs an id). */
const random = () => randomInt(RANDOM_BITS) / RANDOM_BITS

/** Two ids made in one millisecond still sort in the order in which they were made. */
const ulid = monotonicFactory(random)

/** What the id of the thing that a request makes is going to be; `mayExist`: an earlier try of the same request may have made it. */
export interface ReservedUlid {
  readonly ulid: string
  readonly mayExist: boolean
}

export const reserveUlid = (): ReservedUlid => ({ ulid: ulid(), mayExist: false })

function kind<Kind extends string>(prefix: Kind) {
  const pattern = new RegExp(`^${prefix}_[0-9A-HJKMNP-TV-Z]{26}$`)
  const is = (text: string): text is Id<Kind> => pattern.test(text)

  return {
    create: (): Id<Kind> => `${prefix}_${ulid()}` as Id<Kind>,
    is,
    from: ({ ulid }: ReservedUlid): Id<Kind> => `${prefix}_${ulid}` as Id<Kind>,
    /** The id, or undefined when the text is not one of this kind. */
    parse: (text: string): Id<Kind> | undefined => (is(text) ? text : undefined)
  }
}

export const userId = kind('usr')
export const projectId = kind('prj')
export const sessionId = kind('ses')
export const jobId = kind('job')
export const transactionId = kind('txn')
export const eventId = kind('evt')
/** One request to a model. */
export const requestId = kind('req')
