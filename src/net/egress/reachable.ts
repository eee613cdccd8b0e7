import { BlockList, isIPv6 } from 'node:net'
import { isPublicAddress } from '../public-address.ts'

/**
 * Addresses that no setting opens: this host, link-local with the metadata services of clouds, multicast, and reserved.
 * Two metadata services have addresses of their own: 100.100.100.200 (Alibaba) and 168.63.129.16 (Azure).
 */
const NEVER_IPV4 = [
  ['0.0.0.0', 8],
  ['169.254.0.0', 16],
  ['192.0.0.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
  ['100.100.100.200', 32],
  ['168.63.129.16', 32]
] as const
/** Metadata services inside of the range of private networks: Amazon, Google. */
const NEVER_IPV6 = ['fd00:ec2::', 'fd20:ce::'] as const
const PRIVATE_IPV6 = [
  ['::1', 128],
  ['fc00::', 7]
] as const

const never = new BlockList()
const privateNetworks = new BlockList()
for (const [address, bits] of NEVER_IPV4) never.addSubnet(address, bits, 'ipv4')
for (const address of NEVER_IPV6) never.addSubnet(address, 32, 'ipv6')
for (const [address, bits] of PRIVATE_IPV6) privateNetworks.addSubnet(address, bits, 'ipv6')

/**
 * Whether a room may be connected to this address. `allowsPrivate`: also to loopback, private and documentation networks.
 * IPv6 addresses that embed an IPv4 address are refused in both cases.
 */
export function isReachable(address: string, allowsPrivate: boolean): boolean {
  const family = isIPv6(address) ? 'ipv6' : 'ipv4'
  if (never.check(address, family)) return false
  if (isPublicAddress(address)) return true
  return allowsPrivate && (family === 'ipv4' || privateNetworks.check(address, 'ipv6'))
}
