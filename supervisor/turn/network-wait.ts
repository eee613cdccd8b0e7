import { connect } from 'node:net'
import { LIMITS } from '#kernel/limits.ts'
import type { KiloClient } from '../kilo/client.ts'
import type { ProviderAccess } from '../options.ts'

const PROBE_MS = 2000
/** A provider that resets connections is given a moment between two tries. */
const PAUSE_MS = 500
const DEFAULT_URLS: Partial<Record<string, string>> = { anthropic: 'https://api.anthropic.com' }

export type NetworkDecision = 'retry' | 'give-up'

/** Kilo would wait for its provider for ever: it may try again a few times, and only if the provider is there. */
export function decideNetwork(retries: number, reachable: boolean): NetworkDecision {
  return reachable && retries < LIMITS.networkRetriesPerTurnMax ? 'retry' : 'give-up'
}

/** Whether something accepts connections where this provider should be. */
async function isReachable(
  providers: readonly ProviderAccess[],
  providerId: string
): Promise<boolean> {
  const known = providers.find(({ id }) => id === providerId)
  const url = URL.parse(known?.upstreamUrl ?? known?.baseUrl ?? DEFAULT_URLS[providerId] ?? '')
  if (!url) return false

  const port = Number(url.port) || (url.protocol === 'https:' ? 443 : 80)
  return new Promise((resolve) => {
    const socket = connect({ host: url.hostname.replace(/^\[|\]$/g, ''), port, timeout: PROBE_MS })
    const answer = (reachable: boolean) => {
      socket.destroy()
      resolve(reachable)
    }
    socket.once('connect', () => answer(true))
    socket.once('timeout', () => answer(false))
    socket.once('error', () => answer(false))
  })
}

export interface NetworkAnswersOptions {
  readonly client: KiloClient
  readonly providers: readonly ProviderAccess[]
  readonly providerId: string
  readonly onRetry: () => void
  readonly onGiveUp: () => void
  /** Kilo could not be told. */
  readonly onFailure: () => void
}

/** Answers Kilo each time that it waits for its provider during one turn. */
export function createNetworkAnswers(options: NetworkAnswersOptions): (requestId: string) => void {
  const { client } = options
  let retries = 0

  const answer = async (requestId: string) => {
    const reachable = await isReachable(options.providers, options.providerId)
    if (decideNetwork(retries, reachable) === 'give-up') {
      options.onGiveUp()
      return client.giveUpNetwork(requestId)
    }
    retries += 1
    options.onRetry()
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
    return client.retryNetwork(requestId)
  }
  return (requestId) => void answer(requestId).catch(options.onFailure)
}
