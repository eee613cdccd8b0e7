import { domainToASCII } from 'node:url'
import { parseHost, type Host } from './host.ts'
import { isReachable } from './reachable.ts'

/** One entry of the list of destinations that rooms may reach. */
export interface AllowEntry {
  readonly host:
    | Host
    /** The name's subdomains, at any depth. */
    | { readonly kind: 'below'; readonly name: string }
    | { readonly kind: 'any' }
  /** Undefined: every port. */
  readonly port: number | undefined
  /** The host may have a private address. Only for one host, which the operator has named. */
  readonly allowsPrivate: boolean
}

/** An entry, or what was expected instead of it. */
export type ParsedEntry = { readonly entry: AllowEntry } | { readonly expected: string }

const FORMS = 'entries like registry.example.com:443, *.example.com or *, separated by commas'
const HTTPS_PORT = 443
const ENTRY = /^(?<host>\[[^\]]*\]|[^:]*?)(?::(?<port>[^:!/]*))?(?<mark>!private)?$/

/** Parses `host[:port][!private]`, where the host is a name, an address, `*.name` or `*`, and the port a number or `*`. */
export function parseAllowEntry(text: string): ParsedEntry {
  const { host: given = '', port: portText, mark } = ENTRY.exec(text)?.groups ?? {}
  const host = parsePattern(given)
  if (!host) return { expected: FORMS }
  const port = parsePort(portText)
  if (port === 'invalid') return { expected: 'a port from 1 to 65535, or * for every port' }
  const allowsPrivate = mark !== undefined
  if (allowsPrivate && (host.kind === 'any' || host.kind === 'below')) {
    return { expected: '!private after one host, not after a pattern' }
  }
  if (host.kind === 'address' && !isReachable(host.address, allowsPrivate)) {
    return {
      expected: isReachable(host.address, true)
        ? `a public address, or ${text}!private`
        : 'an address that is neither link-local, multicast, reserved nor a metadata service'
    }
  }
  return { entry: { host, port, allowsPrivate } }
}

function parsePattern(given: string): AllowEntry['host'] | undefined {
  if (given === '*') return { kind: 'any' }
  const isBelow = given.startsWith('*.')
  const host = parseHost(ascii(isBelow ? given.slice(2) : given))
  if (!isBelow || !host) return host
  return host.kind === 'name' ? { kind: 'below', name: host.name } : undefined
}

/** Names with other letters are compared in the form in which they are requested: punycode. */
const ascii = (name: string) => (/^[\x21-\x7e]*$/.test(name) ? name : domainToASCII(name))

function parsePort(text: string | undefined): number | undefined | 'invalid' {
  if (text === undefined) return HTTPS_PORT
  if (text === '*') return undefined
  return /^[1-9]\d{0,4}$/.test(text) && Number(text) <= 65_535 ? Number(text) : 'invalid'
}

/** The entry as an operator writes it. */
export function formatAllowEntry({ host, port, allowsPrivate }: AllowEntry): string {
  return `${formatHost(host)}:${port ?? '*'}${allowsPrivate ? '!private' : ''}`
}

function formatHost(host: AllowEntry['host']): string {
  switch (host.kind) {
    case 'any':
      return '*'
    case 'below':
      return `*.${host.name}`
    case 'name':
      return host.name
    case 'address':
      return host.address.includes(':') ? `[${host.address}]` : host.address
  }
}

export interface Permission {
  readonly allowsPrivate: boolean
  /** The operator has named this very host; otherwise the agent chose it. */
  readonly isNamed: boolean
}

/** What the list says about this host and port; undefined when it does not allow them. */
export function findPermission(
  entries: readonly AllowEntry[],
  host: Host,
  port: number
): Permission | undefined {
  const matching = entries.filter(
    (entry) => (entry.port === undefined || entry.port === port) && matches(entry.host, host)
  )
  if (matching.length === 0) return undefined
  return {
    allowsPrivate: matching.some(({ allowsPrivate }) => allowsPrivate),
    isNamed: matching.some((entry) => entry.host.kind === 'name' || entry.host.kind === 'address')
  }
}

function matches(pattern: AllowEntry['host'], host: Host): boolean {
  if (pattern.kind === 'any') return true
  if (pattern.kind === 'address') return host.kind === 'address' && host.address === pattern.address
  if (host.kind !== 'name') return false
  return pattern.kind === 'below'
    ? host.name.endsWith(`.${pattern.name}`)
    : host.name === pattern.name
}
