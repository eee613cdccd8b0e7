import { BlockList, isIPv6 } from 'node:net'

const RESERVED_IPV4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4'
]
/** Reserved ranges inside `2000::/3`: Teredo and other tunnels, documentation, 6to4. */
const RESERVED_IPV6 = ['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20']

const reserved = new BlockList()
const global = new BlockList()
addAll(reserved, RESERVED_IPV4, 'ipv4')
addAll(reserved, RESERVED_IPV6, 'ipv6')
addAll(global, ['2000::/3'], 'ipv6')

/**
 * The SSRF rule: whether an address belongs to the public internet, and so may be connected to on behalf of a user.
 * IPv6 addresses that embed an IPv4 address (mapped, NAT64, 6to4) are not public.
 */
export const isPublicAddress = (address: string) =>
  isIPv6(address)
    ? global.check(address, 'ipv6') && !reserved.check(address, 'ipv6')
    : !reserved.check(address, 'ipv4')

function addAll(list: BlockList, subnets: readonly string[], family: 'ipv4' | 'ipv6'): void {
  for (const subnet of subnets) {
    const [address = '', bits] = subnet.split('/')
    list.addSubnet(address, Number(bits), family)
  }
}
