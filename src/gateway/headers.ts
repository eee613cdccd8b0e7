import type { IncomingHttpHeaders } from 'node:http'

/** The agent's headers that a provider gets: others could ask for services that cost more than tokens. */
const PASSED_ON = [
  'content-type',
  'user-agent',
  'anthropic-version',
  'http-referer',
  'x-title',
  'x-session-id',
  'x-parent-session-id'
]

/** The headers of a provider's answer that Kilo reads. */
const PASSED_BACK = [
  'content-type',
  'retry-after',
  'retry-after-ms',
  'x-should-retry',
  'request-id',
  'x-request-id'
]

/** Features of Anthropic's interface that change no price: docs.anthropic.com, beta headers. */
const FREE_FEATURE =
  /^(interleaved-thinking|fine-grained-tool-streaming|token-efficient-tools|prompt-caching|structured-outputs|effort)-/

/** The agent's headers for the provider, which is asked not to compress its answer: the gateway reads it. */
export function headersForProvider(headers: IncomingHttpHeaders): Record<string, string> {
  const wanted = headers['anthropic-beta']?.toString().split(',') ?? []
  const features = wanted.map((name) => name.trim()).filter((name) => FREE_FEATURE.test(name))
  return {
    ...only(headers, PASSED_ON),
    ...(features.length > 0 && { 'anthropic-beta': features.join(',') }),
    'accept-encoding': 'identity'
  }
}

export const headersForAgent = (headers: IncomingHttpHeaders): Record<string, string> =>
  only(headers, PASSED_BACK)

/** RFC 9110, section 10.2.3: seconds, or a date; some providers send milliseconds in a header of their own. */
export function retryAfterMs(headers: IncomingHttpHeaders, now: Date): number | undefined {
  const text = (name: string) => headers[name]?.toString().trim() ?? ''
  const [ms, after] = [text('retry-after-ms'), text('retry-after')]
  if (/^\d+(\.\d+)?$/.test(ms)) return Number(ms)
  if (/^\d+(\.\d+)?$/.test(after)) return Number(after) * 1000
  const date = /^[a-z]/i.test(after) ? Date.parse(after) : NaN
  return Number.isNaN(date) ? undefined : Math.max(0, date - now.getTime())
}

function only(headers: IncomingHttpHeaders, names: readonly string[]): Record<string, string> {
  const passed: Record<string, string> = {}
  for (const name of names) {
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
