import { lookup } from 'node:dns/promises'
import { AppError } from '#kernel/errors.ts'
import { isPublicAddress } from '#net'

export interface CloneTarget {
  readonly url: string
  /** `host:port:addresses` for curl: git connects to these addresses, even if the name resolves to others later. */
  readonly pin: string
}

/** Resolves a clone URL. Rejects it unless it is https, without credentials, and every address is public. */
export async function checkCloneUrl(
  text: string,
  isAllowed: (address: string) => boolean = isPublicAddress
): Promise<CloneTarget> {
  const url = URL.parse(text)
  if (!url || url.protocol !== 'https:') throw refused('The URL must start with https://')
  if (url.username || url.password)
    throw refused('The URL must not contain a user name or password')
  if (url.hash || url.search) throw refused('The URL must not contain a query or a fragment')

  const host = url.hostname.replace(/^\[|\]$/g, '')
  const addresses = await lookup(host, { all: true }).catch(() => [])
  if (addresses.length === 0) throw refused('The host of the URL cannot be resolved')
  if (!addresses.every(({ address }) => isAllowed(address))) {
    throw refused('The host of the URL is in a private network: only public hosts can be cloned')
  }
  const pinned = addresses.map(({ address, family }) => (family === 6 ? `[${address}]` : address))
  return { url: url.href, pin: `${url.hostname}:${url.port || 443}:${pinned.join(',')}` }
}

export const refused = (why: string, cause?: unknown, facts: Record<string, unknown> = {}) =>
  new AppError('invalid_request', why, { field: 'git', ...facts }, { cause })
