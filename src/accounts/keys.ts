import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'

const SECRET_BYTES = 32
const API_KEY = /^kw_[\w-]{43}$/

/** A new secret: 256 random bits, in letters that a URL and a header can carry. */
export const newSecret = (): string => randomBytes(SECRET_BYTES).toString('base64url')

/** A new API key. It is shown once; what we keep is its hash. */
export const newApiKey = (): string => `kw_${newSecret()}`

/** Whether a text could be an API key at all. */
export const isApiKey = (text: string): boolean => API_KEY.test(text)

// A fast hash is enough: there are 256 random bits to guess, not a person's password.
export const hashOf = (secret: string): string => createHash('sha256').update(secret).digest('hex')

/** Whether two keys are the same, in a time that says nothing about where or by how much they differ. */
export function sameKey(a: string, b: string): boolean {
  return timingSafeEqual(Buffer.from(hashOf(a), 'hex'), Buffer.from(hashOf(b), 'hex'))
}
