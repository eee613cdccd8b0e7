import { Buffer } from 'node:buffer'
import { modelAddress } from '#kernel/text.ts'
import { anthropic } from './protocols/anthropic.ts'
import { openai } from './protocols/openai.ts'
import type { ModelProtocol } from './protocols/protocol.ts'

/** A model provider with its key. */
export interface Provider {
  readonly id: 'anthropic' | 'openai-compatible'
  /** As given: Anthropic's with its version or without. */
  readonly baseUrl: string
  readonly apiKey: string | undefined
}

export interface Upstream {
  readonly id: Provider['id']
  readonly protocol: ModelProtocol
  readonly url: string
  readonly keyHeaders: Record<string, string>
  readonly scrub: (text: string) => string
}

const PROTOCOLS: Record<Provider['id'], ModelProtocol> = {
  anthropic,
  'openai-compatible': openai
}
const REDACTED = '[redacted]'

export function createUpstream({ id, baseUrl, apiKey }: Provider): Upstream {
  const protocol = PROTOCOLS[id]
  const secrets = apiKey === undefined ? [] : [apiKey, Buffer.from(apiKey).toString('base64')]
  return {
    id,
    protocol,
    url: modelAddress(id, baseUrl) + protocol.path,
    keyHeaders: apiKey === undefined ? {} : protocol.keyHeaders(apiKey),
    scrub: (text) => secrets.reduce((clean, secret) => clean.replaceAll(secret, REDACTED), text)
  }
}

/** The path of a provider at the gateway. */
export const pathOf = (id: Provider['id']): string => `/${id}/v1`
