import { isIPv6 } from 'node:net'

/**
 * The network that limits per address count by: an IPv4 address itself, and the first 64 bits of an IPv6 address,
 * because one client usually has all addresses below them.
 */
export function networkOf(address: string): string {
  if (!isIPv6(address)) return address
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)
  if (mapped?.[1]) return mapped[1]

  const [head = '', tail] = (address.split('%', 1)[0] ?? '').toLowerCase().split('::')
  const groups = (text: string | undefined) => (text ? text.split(':') : [])
  const known = [...groups(head), ...groups(tail)].length
  const zeros = tail === undefined ? [] : Array.from({ length: Math.max(0, 8 - known) }, () => '0')
  const whole = [...groups(head), ...zeros, ...groups(tail)]
  return `${whole
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':')}::/64`
}
