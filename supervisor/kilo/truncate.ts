import { Buffer } from 'node:buffer'

/** The beginning of a text, at most `bytesMax` bytes of UTF-8, without a partial character at its end. */
export function cutText(text: string, bytesMax: number): string {
  if (text.length * 3 <= bytesMax || Buffer.byteLength(text) <= bytesMax) return text
  // A streaming decoder holds back a partial character.
  return new TextDecoder().decode(Buffer.from(text).subarray(0, bytesMax), { stream: true })
}

const sizeOf = (value: unknown) => Buffer.byteLength(JSON.stringify(value) ?? '')

/** A JSON value that serialises to at most `bytesMax` bytes: its longest texts are truncated first. */
export function cutJson(value: unknown, bytesMax: number): unknown {
  if (sizeOf(value) <= bytesMax) return value
  for (let each = Math.floor(bytesMax / 2); each >= 64; each = Math.floor(each / 2)) {
    const smaller = cutStrings(value, each)
    if (sizeOf(smaller) <= bytesMax) return smaller
  }
  return cutText(JSON.stringify(value), Math.floor(bytesMax / 2))
}

function cutStrings(value: unknown, bytesMax: number): unknown {
  if (typeof value === 'string') return cutText(value, bytesMax)
  if (Array.isArray(value)) return value.map((item) => cutStrings(item, bytesMax))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, cutStrings(item, bytesMax)])
  )
}
