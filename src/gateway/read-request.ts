import type { IncomingMessage } from 'node:http'
import { LIMITS } from '#kernel/limits.ts'
import { readBody, type BodyRefusal, type BodyShare, type JsonParser } from '#net'
import type { Body, ModelProtocol } from './protocols/protocol.ts'
import { GatewayRefusal } from './refusal.ts'

/**
 * Fields that cost more than tokens, select another model than the named one, or send the request elsewhere. They are
 * refused with a message to the agent; unknown fields are only removed.
 */
const REFUSED_FIELDS = [
  ...['web_search_options', 'web_search', 'search_parameters', 'enable_search', 'plugins'],
  ...['models', 'fallbacks', 'provider', 'route', 'api_base', 'base_url', 'api_key', 'audio'],
  ...['mcp_servers', 'container', 'context_management', 'transforms', 'prediction', 'background']
]

export interface ReadRequest {
  /** Only fields that the protocol knows. */
  readonly body: Body
  /** Bytes of the request as it came. */
  readonly size: number
  readonly model: string
}

export interface ReadDeps {
  readonly parser: JsonParser
  /** For this long a body may arrive slower than the minimum rate. */
  readonly bodyGraceMs: number
}

/** Reads a request that costs only its tokens; refuses others. */
export async function readRequest(
  { parser, bodyGraceMs }: ReadDeps,
  protocol: ModelProtocol,
  request: IncomingMessage,
  share: BodyShare
): Promise<ReadRequest> {
  const rules = { ...RULES, graceMs: bodyGraceMs }
  const read = await readBody(request, request.headers, rules, share)
  if (read.kind === 'refused') throw refusalOf(read.why)
  const { body: given, bytes } = await parse(parser, read.bytes)
  const model = given['model']
  if (typeof model !== 'string') throw new GatewayRefusal('invalid', 'The field model is missing.')
  refuseExtras(given, protocol)
  const known = Object.entries(given).filter(([name]) => protocol.fields.has(name))
  const body = Object.fromEntries(known)
  shortenCaching(body)
  return { body, size: bytes.length, model }
}

function refuseExtras(body: Body, protocol: ModelProtocol): void {
  const field = REFUSED_FIELDS.find((name) => body[name] !== undefined && body[name] !== null)
  if (field) throw new GatewayRefusal('not_allowed', `The field ${field} is not supported.`)
  if ((body['n'] ?? 1) !== 1) {
    throw new GatewayRefusal('not_allowed', 'Only one choice per request is supported: set n to 1.')
  }
  for (const tool of listOf(body['tools'])) {
    if (protocol.isOwnTool(tool)) continue
    throw new GatewayRefusal('not_allowed', `The tool ${String(tool['type'])} is not supported.`)
  }
}

/** Caching for an hour costs more than the price list knows; without `ttl` it is for five minutes. */
function shortenCaching(body: Body): void {
  const messages = listOf(body['messages'])
  const contents = messages.flatMap(({ content }) => listOf(content))
  const results = contents.flatMap(({ content }) => listOf(content))
  const tools = listOf(body['tools'])
  for (const part of [
    body,
    ...listOf(body['system']),
    ...tools,
    ...messages,
    ...contents,
    ...results
  ]) {
    const caching = part['cache_control']
    if (typeof caching === 'object' && caching !== null) delete (caching as Body)['ttl']
  }
}

const listOf = (value: unknown): readonly Record<string, unknown>[] =>
  Array.isArray(value) ? value.filter(isObject) : []

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null

const RULES = {
  bytesMax: LIMITS.modelRequestBytesMax,
  depthMax: LIMITS.modelRequestDepthMax,
  valuesMax: LIMITS.modelRequestValuesMax,
  bytesPerSecondMin: LIMITS.bodyBytesPerSecondMin
}

async function parse(parser: JsonParser, given: Buffer): Promise<{ body: Body; bytes: Buffer }> {
  const { value, bytes } = await parser.parse(given).catch((cause: unknown) => {
    if (!(cause instanceof SyntaxError || cause instanceof TypeError)) throw cause
    throw new GatewayRefusal('invalid', 'The request is not JSON.', { cause })
  })
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return { body: value as Body, bytes }
  }
  throw new GatewayRefusal('invalid', 'The request is not a JSON object.')
}

function refusalOf(why: BodyRefusal): GatewayRefusal {
  switch (why) {
    case 'too-large':
      return new GatewayRefusal(
        'too_large',
        `The request is larger than the limit of ${RULES.bytesMax} bytes.`
      )
    case 'too-deep':
      return new GatewayRefusal(
        'invalid',
        `The request is nested deeper than the limit of ${RULES.depthMax} levels.`
      )
    case 'too-many-values':
      return new GatewayRefusal(
        'too_large',
        `The request has more than ${RULES.valuesMax} elements and fields.`
      )
    case 'too-slow':
      return new GatewayRefusal(
        'too_slow',
        `The request arrives slower than ${RULES.bytesPerSecondMin} bytes per second.`
      )
    case 'owner-full':
      return new GatewayRefusal(
        'busy',
        `The concurrent requests of this agent have more than ${LIMITS.modelRequestsPerAgentBytesMax} bytes: retry later.`
      )
    case 'all-full':
      return new GatewayRefusal('busy', 'The gateway has too many large requests: retry later.')
    case 'broken':
      return new GatewayRefusal('invalid', 'The connection broke before the request was complete.')
  }
}
