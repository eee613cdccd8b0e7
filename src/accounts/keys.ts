import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'

const SECRET_BYTES = 32
const API_KEY = /^kw_[\w-]{43}$/

/** A new secret: 256 random bits, in characters that URLs and headers allow. */
export const newSecret = (): string => randomBytes(SECRET_BYTES).toString('base64url')

/** A new API key. Only its hash is stored. */
export const newApiKey = (): string => `kw_${newSecret()}`

/** Whether a text has the form of an API key. */
export const isApiKey = (text: string): boolean => API_KEY.test(text)

// A fast hash is sufficient: the secret has 256 random bits, unlike a password.
export const hashOf = (secret: string): string => createHash('sha256').update(secret).digest('hex')

/** Compares two keys in constant time. */
export function sameKey(a: string, b: string): boolean {
  return timingSafeEqual(Buffer.from(hashOf(a), 'hex'), Buffer.from(hashOf(b), 'hex'))
}
