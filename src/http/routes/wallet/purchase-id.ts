import { createHash } from 'node:crypto'
import type { TransactionId, UserId } from '#kernel/ids.ts'

const ULID_LETTERS = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
const ULID_BITS = 128n
const ULID_LENGTH = 26

/**
 * The transaction id of a purchase, derived from the user and the Idempotency-Key. The ledger deduplicates by it, even
 * after the stored key has expired.
 */
export function purchaseId(userId: UserId, key: string): TransactionId {
  const hash = createHash('sha256').update(`purchase ${userId} ${key}`).digest('hex')
  let bits = BigInt(`0x${hash}`) & ((1n << ULID_BITS) - 1n)
  let text = ''
  while (text.length < ULID_LENGTH) {
    text = `${ULID_LETTERS[Number(bits % 32n)]}${text}`
    bits /= 32n
  }
  return `txn_${text}` as TransactionId
}
