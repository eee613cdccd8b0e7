import { isUtf8 } from 'node:buffer'
import { AppError } from '#kernel/errors.ts'

export type Encoding = 'utf-8' | 'base64'

/** The bytes of a file for JSON: as text when they are valid UTF-8, else in base64. */
export const encode = (bytes: Buffer): { content: string; encoding: Encoding } =>
  isUtf8(bytes)
    ? { content: bytes.toString('utf8'), encoding: 'utf-8' }
    : { content: bytes.toString('base64'), encoding: 'base64' }

/** The bytes that a client sent. Non-canonical base64 is refused. */
export function decode(content: string, encoding: Encoding = 'utf-8'): Buffer {
  if (encoding === 'utf-8') return Buffer.from(content, 'utf8')
  const bytes = Buffer.from(content, 'base64')
  if (bytes.toString('base64') === content) return bytes
  throw new AppError('invalid_request', 'content is not valid base64')
}
