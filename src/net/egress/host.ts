import { isIPv4, isIPv6 } from 'node:net'

/** The host of a request, in its one usual spelling. */
export type Host =
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'address'; readonly address: string }

const NAME_CHARS_MAX = 253
const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/
/** A program that parses such a last label takes the whole host for an IPv4 address: `2130706433`, `127.1`, `0x7f.1`. */
const NUMERIC_LABEL = /^(?:\d+|0x[0-9a-f]*)$/

/**
 * Parses the host of a request: an IPv4 address as four decimal numbers, an IPv6 address in brackets, or a DNS name in
 * ASCII. Undefined for every other spelling: decimal, octal, hexadecimal and shortened IPv4 addresses, zone ids, and
 * names with other characters, which a resolver might map to digits and dots.
 */
export function parseHost(text: string): Host | undefined {
  const host = text.toLowerCase()
  if (isIPv4(host)) return { kind: 'address', address: host }
  if (host.startsWith('[')) return parseIPv6(host)
  const name = host.replace(/\.$/, '')
  const labels = name.split('.')
  const isName = name.length <= NAME_CHARS_MAX && labels.every((label) => LABEL.test(label))
  if (!isName || NUMERIC_LABEL.test(labels.at(-1) ?? '')) return undefined
  return { kind: 'name', name }
}

function parseIPv6(bracketed: string): Host | undefined {
  const address = /^\[([0-9a-f:.]+)\]$/.exec(bracketed)?.[1]
  if (address === undefined || !isIPv6(address)) return undefined
  return { kind: 'address', address: new URL(`http://[${address}]`).hostname.slice(1, -1) }
}
