import { Buffer } from 'node:buffer'
import type { IncomingMessage } from 'node:http'
import { LIMITS } from '#kernel/limits.ts'
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

/** Reads a request that costs only its tokens; refuses others. */
export async function readRequest(request: IncomingMessage): Promise<ReadRequest> {
  const bytes = await readBytes(request)
  const body = parse(bytes)
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

async function readBytes(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > LIMITS.modelRequestBytesMax) {
      throw new GatewayRefusal(
        'too_large',
        `The request is larger than the limit of ${LIMITS.modelRequestBytesMax} bytes.`
      )
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function parse(bytes: Buffer): Body {
  let body: unknown
  try {
    body = JSON.parse(bytes.toString())
  } catch (cause) {
    throw new GatewayRefusal('invalid', 'The request is not JSON.', { cause })
  }
  if (typeof body === 'object' && body !== null && !Array.isArray(body)) return body as Body
  throw new GatewayRefusal('invalid', 'The request is not a JSON object.')
}
