import { randomInt } from 'node:crypto'
import { monotonicFactory } from 'ulid'

declare const brand: unique symbol

/** An id with a type prefix: `prj_` and a ULID of 26 characters. */
export type Id<Kind extends string> = string & { readonly [brand]: Kind }

export type UserId = Id<'usr'>
export type ProjectId = Id<'prj'>
export type SessionId = Id<'ses'>
export type JobId = Id<'job'>
export type TransactionId = Id<'txn'>
export type EventId = Id<'evt'>
export type KeyId = Id<'key'>
export type RequestId = Id<'req'>

const RANDOM_BITS = 2 ** 32
/** Node buffers random numbers; the library's own source calls the system for each letter (measured: 80 µs per id). */
const random = () => randomInt(RANDOM_BITS) / RANDOM_BITS

/** Monotonic: ids of the same millisecond sort in the order of their creation. */
const ulid = monotonicFactory(random)

/** The ULID for a resource that a request creates. `mayExist`: an earlier attempt of the request may have created it. */
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
/** An API key: its id, not its secret. */
export const keyId = kind('key')
/** A model request. */
export const requestId = kind('req')
