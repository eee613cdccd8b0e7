import { Buffer } from 'node:buffer'

export type Redact = (text: string) => string

/** The usual form of an API key, for keys that are not ours and that a provider may repeat in its messages. */
const KEY_LIKE = /\b(sk|pk|kw|key|rk)[-_][A-Za-z0-9_-]{8,}/g
const REDACTED = '[redacted]'

/** Replaces these secrets, and everything that looks like an API key. */
export function createRedact(secrets: readonly (string | undefined)[]): Redact {
  const known = secrets
    .filter((secret): secret is string => secret !== undefined && secret.length >= 6)
    .flatMap((secret) => [secret, Buffer.from(secret).toString('base64')])

  return (text) =>
    known
      .reduce((clean, secret) => clean.replaceAll(secret, REDACTED), text)
      .replace(KEY_LIKE, REDACTED)
}
