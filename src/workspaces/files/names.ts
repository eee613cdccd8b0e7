import { isUtf8 } from 'node:buffer'

/**
 * Names are bytes, for Linux and for git. Inside of this folder a name is a string in which each byte that is no UTF-8
 * is a lone surrogate (byte 0xFF is U+DCFF), so that it can be turned into the same bytes again. Such a string must not
 * leave the folder: a database cannot store it. Clients get the name percent-escaped, with `pathEncoding: "percent"`.
 */
export function decodeName(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString()
  let text = ''
  for (let at = 0; at < bytes.length;) {
    const size = characterAt(bytes, at)
    text +=
      size === 0 ? String.fromCharCode(ESCAPED + bytes[at]!) : bytes.toString('utf8', at, at + size)
    at += Math.max(size, 1)
  }
  return text
}

export function encodeName(name: string): Buffer {
  if (name.isWellFormed()) return Buffer.from(name)
  const parts = Array.from(name, (character) => {
    const code = character.charCodeAt(0)
    const isByte = character.length === 1 && code >= ESCAPED + 0x80 && code <= ESCAPED + 0xff
    return isByte ? Buffer.from([code - ESCAPED]) : Buffer.from(character)
  })
  return Buffer.concat(parts)
}

export interface ClientPath {
  readonly path: string
  readonly pathEncoding?: 'percent'
}

/** A path as clients get it. */
export function forClients(path: string): ClientPath {
  if (path.isWellFormed()) return { path }
  const bytes = [...encodeName(path)]
  const escaped = bytes.map((byte) =>
    byte > 0x20 && byte < 0x7f && byte !== 0x25
      ? String.fromCharCode(byte)
      : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  )
  return { path: escaped.join(''), pathEncoding: 'percent' }
}

/** The path that a client means; undefined when an escape is no two hexadecimal digits. */
export function fromClient({ path, pathEncoding }: ClientPath): string | undefined {
  if (pathEncoding === undefined) return path
  if (/%(?![0-9a-fA-F]{2})/.test(path)) return undefined
  const bytes = Buffer.from(path).toString('latin1')
  const whole = bytes.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) =>
    String.fromCharCode(parseInt(hex, 16))
  )
  return decodeName(Buffer.from(whole, 'latin1'))
}

const ESCAPED = 0xdc00
const SIZE_MAX = 4

/** The length of the character that begins here; 0 when these bytes are none. */
function characterAt(bytes: Buffer, at: number): number {
  for (let size = 1; size <= SIZE_MAX && at + size <= bytes.length; size++) {
    if (isUtf8(bytes.subarray(at, at + size))) return size
  }
  return 0
}
