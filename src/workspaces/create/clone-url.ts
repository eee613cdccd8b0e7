import { lookup } from 'node:dns/promises'
import { AppError } from '#kernel/errors.ts'
import { isPublicAddress } from '#net'

export interface CloneTarget {
  readonly url: string
  /** `host:port:addresses`: what git connects to, whatever the name says a moment later. */
  readonly pin: string
}

/** The address that a clone may connect to; refused unless it is https, without credentials, and public. */
export async function checkCloneUrl(
  text: string,
  isAllowed: (address: string) => boolean = isPublicAddress
): Promise<CloneTarget> {
  const url = URL.parse(text)
  if (!url || url.protocol !== 'https:') throw refused('Only https URLs can be cloned')
  if (url.username || url.password) throw refused('The URL must not hold a user name or password')
  if (url.hash || url.search) throw refused('The URL must not have a query or a fragment')

  const host = url.hostname.replace(/^\[|\]$/g, '')
  const addresses = await lookup(host, { all: true }).catch(() => [])
  if (addresses.length === 0) throw refused('The host of the URL is not known')
  if (!addresses.every(({ address }) => isAllowed(address))) {
    throw refused('The URL leads into a private network')
  }
  const pinned = addresses.map(({ address, family }) => (family === 6 ? `[${address}]` : address))
  return { url: url.href, pin: `${url.hostname}:${url.port || 443}:${pinned.join(',')}` }
}

export const refused = (why: string, cause?: unknown) =>
  new AppError('invalid_request', why, { field: 'git' }, { cause })
