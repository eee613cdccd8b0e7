import { connect } from 'node:net'
import type { Clock } from '#kernel/clock.ts'
import { LIMITS } from '#kernel/limits.ts'
import type { KiloClient } from '../kilo/client.ts'
import type { ProviderAccess } from '../options.ts'

const PROBE_MS = 2000
/** Between two retries: a provider that resets connections needs a moment. */
const RETRY_DELAY_MS = 500
const DEFAULT_URLS: Partial<Record<string, string>> = { anthropic: 'https://api.anthropic.com' }

export type NetworkDecision = 'retry' | 'reject'

/** Kilo would wait for its provider without a limit: it may retry a few times, and only while the provider is reachable. */
export function decideNetwork(retries: number, reachable: boolean): NetworkDecision {
  return reachable && retries < LIMITS.networkRetriesPerTurnMax ? 'retry' : 'reject'
}

/** Whether the address of this provider accepts connections. */
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
  readonly client: Pick<KiloClient, 'retryNetwork' | 'rejectNetwork'>
  readonly clock: Clock
  readonly providers: readonly ProviderAccess[]
  readonly providerId: string
  readonly onRetry: () => void
  readonly onReject: () => void
  /** Kilo did not accept the answer. */
  readonly onFailure: () => void
}

/** Answers Kilo each time that it waits for its provider during one turn. */
export function createNetworkAnswers(options: NetworkAnswersOptions): (requestId: string) => void {
  const { client, clock } = options
  let retries = 0

  const answer = async (requestId: string) => {
    const reachable = await isReachable(options.providers, options.providerId)
    if (decideNetwork(retries, reachable) === 'reject') {
      options.onReject()
      return client.rejectNetwork(requestId)
    }
    retries += 1
    options.onRetry()
    await clock.sleep(RETRY_DELAY_MS)
    return client.retryNetwork(requestId)
  }
  return (requestId) => void answer(requestId).catch(options.onFailure)
}
