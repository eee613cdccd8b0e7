import { lookup } from 'node:dns/promises'
import { BlockList, isIPv6 } from 'node:net'
import { AppError } from '#kernel/errors.ts'

const RESERVED_IPV4 = [
  ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16'],
  ...['172.16.0.0/12', '192.0.0.0/24', '192.0.2.0/24', '192.88.99.0/24', '192.168.0.0/16'],
  ...['198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24', '224.0.0.0/4', '240.0.0.0/4']
]
/** Inside the global range: Teredo and other tunnels, documentation, 6to4. */
const RESERVED_IPV6 = ['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20']

const reserved = new BlockList()
const global = new BlockList()
addAll(reserved, RESERVED_IPV4, 'ipv4')
addAll(reserved, RESERVED_IPV6, 'ipv6')
addAll(global, ['2000::/3'], 'ipv6')

/** Whether an address belongs to the public internet. Mapped and translated IPv4 addresses don't count. */
export const isPublicAddress = (address: string) =>
  isIPv6(address)
    ? global.check(address, 'ipv6') && !reserved.check(address, 'ipv6')
    : !reserved.check(address, 'ipv4')

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

export const refused = (detail: string, cause?: unknown) =>
  new AppError('invalid_request', detail, { field: 'git' }, { cause })

function addAll(list: BlockList, subnets: readonly string[], family: 'ipv4' | 'ipv6'): void {
  for (const subnet of subnets) {
    const [address = '', bits] = subnet.split('/')
    list.addSubnet(address, Number(bits), family)
  }
}
