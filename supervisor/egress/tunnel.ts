import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { EgressLimits } from './egress-limits.ts'

/** Connects to the first of these addresses that accepts. They are addresses, not names: nothing is resolved again. */
export async function dial(
  addresses: readonly string[],
  port: number,
  limits: Pick<EgressLimits, 'connectMs' | 'addressesMax'>
): Promise<Socket | undefined> {
  for (const host of addresses.slice(0, limits.addressesMax)) {
    const socket = connect({ host, port, allowHalfOpen: true })
    try {
      await once(socket, 'connect', { signal: AbortSignal.timeout(limits.connectMs) })
      return socket
    } catch {
      socket.on('error', () => {})
      socket.destroy()
    }
  }
  return undefined
}

export interface TunnelOptions {
  readonly idleMs: number
  /** False: the tunnel must end. */
  readonly onBytes: (bytes: number) => boolean
}

/** Joins two connections. Each direction may end by itself; an error, silence or `onBytes` ends both. */
export function joinTunnel(a: Duplex, b: Duplex, options: TunnelOptions): Promise<void> {
  const end = () => {
    a.destroy()
    b.destroy()
  }
  const idle = setTimeout(end, options.idleMs)
  for (const [from, to] of [
    [a, b],
    [b, a]
  ] as const) {
    from.on('data', (chunk: Buffer) => {
      idle.refresh()
      if (!options.onBytes(chunk.length)) end()
    })
    from.on('error', end)
    from.on('close', () => from.readableEnded || to.destroy())
    from.pipe(to)
  }
  return Promise.all([closed(a), closed(b)]).then(() => clearTimeout(idle))
}

const closed = (stream: Duplex) =>
  new Promise<void>((resolve) => {
    if (stream.closed) resolve()
    else stream.once('close', () => resolve())
  })
