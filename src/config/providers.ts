import { ConfigError } from './config-error.ts'
import { type Environment, httpUrl, secret } from './readers.ts'

export interface ProviderSettings {
  /** The first half of a model's name. */
  readonly id: 'anthropic' | 'openai-compatible'
  /** Undefined if the endpoint needs none. */
  readonly apiKey: string | undefined
  /** As given: Anthropic's with its version or without. Without a slash at the end. */
  readonly baseUrl: string
}

/** The providers whose required settings are given. */
export function readProviders(env: Environment): readonly ProviderSettings[] {
  return [readAnthropic(env), readOpenAiCompatible(env)]
    .filter((provider) => provider !== undefined)
    .map((provider) => Object.freeze(provider))
}

function readAnthropic(env: Environment): ProviderSettings | undefined {
  const apiKey = secret(env, 'ANTHROPIC_API_KEY')
  const baseUrl = httpUrl(env, 'ANTHROPIC_BASE_URL') ?? 'https://api.anthropic.com'
  if (apiKey === undefined) return undefined
  return { id: 'anthropic', apiKey, baseUrl }
}

function readOpenAiCompatible(env: Environment): ProviderSettings | undefined {
  const apiKey = secret(env, 'OPENAI_COMPATIBLE_API_KEY')
  const baseUrl = httpUrl(env, 'OPENAI_COMPATIBLE_BASE_URL')
  if (baseUrl !== undefined) return { id: 'openai-compatible', apiKey, baseUrl }
  if (apiKey === undefined) return undefined
  throw new ConfigError(
    'OPENAI_COMPATIBLE_BASE_URL',
    'is missing: OPENAI_COMPATIBLE_API_KEY needs the address of its endpoint.'
  )
}
