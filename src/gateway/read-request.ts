import type { IncomingMessage } from 'node:http'
import { LIMITS } from '#kernel/limits.ts'
import { readBody, type BodyRefusal, type BodyShare, type JsonParser } from '#net'
import type { Body } from './protocols/protocol.ts'
import { GatewayRefusal } from './refusal.ts'

/** Fields that cost more than tokens, or select another model than the named one. */
const PRICED_FIELDS = ['web_search_options', 'plugins', 'models', 'audio', 'mcp_servers']
const PRICED_TOOLS = /^(web_search|web_fetch|code_execution|mcp)/
/** Fields that select a more expensive service; they are removed. */
const REMOVED_FIELDS = ['service_tier', 'speed', 'inference_geo']

export interface ReadRequest {
  readonly body: Body
  readonly bytes: Buffer
  /** `body` differs from `bytes`. */
  readonly changed: boolean
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
  request: IncomingMessage,
  share: BodyShare
): Promise<ReadRequest> {
  const rules = { ...RULES, graceMs: bodyGraceMs }
  const read = await readBody(request, request.headers, rules, share)
  if (read.kind === 'refused') throw refusalOf(read.why)
  const { body, bytes } = await parse(parser, read.bytes)
  const model = body['model']
  if (typeof model !== 'string') throw new GatewayRefusal('invalid', 'The field model is missing.')

  const priced = PRICED_FIELDS.find((field) => body[field] !== undefined && body[field] !== null)
  if (priced) throw new GatewayRefusal('not_allowed', `The field ${priced} is not supported.`)
  if ((body['n'] ?? 1) !== 1) {
    throw new GatewayRefusal('not_allowed', 'Only one choice per request is supported: set n to 1.')
  }
  for (const { type } of (Array.isArray(body['tools']) ? body['tools'] : []) as {
    type?: string
  }[]) {
    if (typeof type === 'string' && PRICED_TOOLS.test(type)) {
      throw new GatewayRefusal('not_allowed', `The tool ${type} is not supported.`)
    }
  }
  const removed = REMOVED_FIELDS.filter((field) => field in body)
  for (const field of removed) delete body[field]
  return { body, bytes, changed: removed.length > 0, model }
}

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
