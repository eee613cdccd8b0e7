import { Buffer } from 'node:buffer'
import type { IncomingMessage } from 'node:http'
import { LIMITS } from '#kernel/limits.ts'
import type { Body } from './protocols/protocol.ts'
import { GatewayRefusal } from './refusal.ts'

/** What would cost more than its tokens, or ask another model than the one that is named. */
const DEARER_WORDS = ['web_search_options', 'plugins', 'models', 'audio', 'mcp_servers']
const DEARER_TOOLS = /^(web_search|web_fetch|code_execution|mcp)/
/** Choices of a dearer service, which a request can do without. */
const DROPPED_WORDS = ['service_tier', 'speed', 'inference_geo']

export interface ReadRequest {
  readonly body: Body
  readonly bytes: Buffer
  /** `bytes` do not say what `body` says any more. */
  readonly changed: boolean
  readonly model: string
}

/** A model request that costs its tokens and nothing else, or a refusal. */
export async function readRequest(request: IncomingMessage): Promise<ReadRequest> {
  const bytes = await readBytes(request)
  const body = parse(bytes)
  const model = body['model']
  if (typeof model !== 'string') throw new GatewayRefusal('invalid', 'The request names no model.')

  const dearer = DEARER_WORDS.find((word) => body[word] !== undefined && body[word] !== null)
  if (dearer) throw new GatewayRefusal('not_allowed', `${dearer} is not available here.`)
  if ((body['n'] ?? 1) !== 1) {
    throw new GatewayRefusal('not_allowed', 'One answer a request, not several.')
  }
  for (const { type } of (Array.isArray(body['tools']) ? body['tools'] : []) as {
    type?: string
  }[]) {
    if (typeof type === 'string' && DEARER_TOOLS.test(type)) {
      throw new GatewayRefusal('not_allowed', `The tool ${type} is not available here.`)
    }
  }
  const dropped = DROPPED_WORDS.filter((word) => word in body)
  for (const word of dropped) delete body[word]
  return { body, bytes, changed: dropped.length > 0, model }
}

async function readBytes(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > LIMITS.modelRequestBytesMax) {
      throw new GatewayRefusal('too_large', 'The request is too large.')
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
