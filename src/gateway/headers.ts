import type { IncomingHttpHeaders } from 'node:http'

/** Hop-by-hop headers, credentials, and headers that would make the answer unreadable for the gateway. */
const NOT_PASSED_ON: ReadonlySet<string> = new Set([
  'host',
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'expect',
  'content-length',
  'accept-encoding',
  'authorization',
  'x-api-key',
  'x-kilowatt-turn',
  'cookie'
])

/** The headers of a provider's answer that Kilo reads. */
const PASSED_BACK = [
  'content-type',
  'retry-after',
  'retry-after-ms',
  'x-should-retry',
  'request-id',
  'x-request-id'
]

/** The agent's headers without its token and hop-by-hop headers. */
export function headersForProvider(headers: IncomingHttpHeaders): Record<string, string> {
  const passed: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (typeof value === 'string' && !NOT_PASSED_ON.has(name)) passed[name] = value
  }
  return passed
}

export function headersForAgent(headers: IncomingHttpHeaders): Record<string, string> {
  const passed: Record<string, string> = {}
  for (const name of PASSED_BACK) {
    const value = headers[name]
    if (typeof value === 'string') passed[name] = value
  }
  return passed
}

/** The agent's token, in the header where the provider's library sends its key. */
export function tokenOf(headers: IncomingHttpHeaders): string | undefined {
  const key = headers['x-api-key']
  if (typeof key === 'string') return key
  return /^Bearer (\S+)$/i.exec(headers.authorization ?? '')?.[1]
}

/** The token of the job, in the header that `supervisor/room/inside/turn-token.mjs` sets. */
export function turnTokenOf(headers: IncomingHttpHeaders): string | undefined {
  const token = headers['x-kilowatt-turn']
  return typeof token === 'string' ? token : undefined
}

export interface Attribution {
  readonly agentSessionId: string | null
  readonly parentSessionId: string | null
  readonly kind: 'turn' | 'title'
}

const TITLE = 'title-'
const ID_CHARS_MAX = 100

/** The session of a request. For a title request Kilo prefixes the session id with `title-`. */
export function attributionOf(headers: IncomingHttpHeaders): Attribution {
  const word = (name: string) => {
    const value = headers[name]
    return typeof value === 'string' && value ? value.slice(0, ID_CHARS_MAX) : null
  }
  const session = word('x-session-id')
  const isTitle = session?.startsWith(TITLE) ?? false
  return {
    agentSessionId: isTitle ? (session?.slice(TITLE.length) ?? null) : session,
    parentSessionId: word('x-parent-session-id'),
    kind: isTitle ? 'title' : 'turn'
  }
}
