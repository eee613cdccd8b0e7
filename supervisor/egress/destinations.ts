import { lookup, Resolver } from 'node:dns/promises'
import { findPermission, isReachable, parseHost, type AllowEntry } from '#net'
import { within } from '#kernel/waiting.ts'
import { EGRESS_LIMITS } from './egress-limits.ts'
import { splitAuthority, type RefusalReason, type Target } from './refusals.ts'

/** Where a request leads. The addresses are those that were checked, and no others may be connected to. */
export type Destination =
  | { readonly kind: 'found'; readonly addresses: readonly string[]; readonly port: number }
  | ({ readonly kind: 'refused'; readonly reason: RefusalReason } & Target)
  | { readonly kind: 'unresolved' }

export interface Resolve {
  /** `isNamed`: by an entry of the operator; other names are chosen by an agent. */
  (name: string, isNamed: boolean): Promise<readonly string[]>
}

export interface Destinations {
  /** Checks `host:port` against the list, resolves the host once, and checks its addresses. */
  find(authority: string): Promise<Destination>
}

export function createDestinations(
  allow: readonly AllowEntry[],
  resolve: Resolve = createResolve()
): Destinations {
  return {
    async find(authority) {
      const [, hostText = authority, portText] = /^(.*):([1-9]\d{0,4})$/.exec(authority) ?? []
      const port = Number(portText)
      const host = parseHost(hostText)
      const refuse = (reason: RefusalReason): Destination => ({
        kind: 'refused',
        reason,
        ...splitAuthority(authority)
      })
      if (!host || !(port <= 65_535)) return refuse('malformed')

      const permission = findPermission(allow, host, port)
      if (!permission) return refuse('not_allowed')
      const resolved =
        host.kind === 'address' ? [host.address] : await resolve(host.name, permission.isNamed)
      if (resolved.length === 0) return { kind: 'unresolved' }
      const addresses = resolved.filter((address) => isReachable(address, permission.allowsPrivate))
      return addresses.length > 0 ? { kind: 'found', addresses, port } : refuse('private_address')
    }
  }
}

/**
 * A host that the operator has named is resolved as the machine does it, with its hosts file. That takes one of the four
 * threads that also serve files, so names that an agent chooses are asked of the DNS servers directly: names that are
 * slow to resolve would block the server otherwise.
 */
function createResolve(): Resolve {
  const resolver = new Resolver({ timeout: 3000, tries: 2 })
  const pending = new Map<string, Promise<readonly string[]>>()

  const ofMachine = async (name: string) => {
    const found = await lookup(name, { all: true }).catch(() => [])
    return found.map(({ address }) => address)
  }
  const ofServers = async (name: string) => {
    const found = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)])
    return found.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []))
  }
  return async (name, isNamed) => {
    if (!isNamed) return (await within(ofServers(name), EGRESS_LIMITS.resolveMs)) ?? []
    const known = pending.get(name)
    const asked = known ?? ofMachine(name).finally(() => pending.delete(name))
    if (!known) pending.set(name, asked)
    return (await within(asked, EGRESS_LIMITS.resolveMs)) ?? []
  }
}
