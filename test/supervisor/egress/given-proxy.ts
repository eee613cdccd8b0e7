import { once } from 'node:events'
import { createServer, connect, type AddressInfo } from 'node:net'
import { parseAllowEntry } from '#net'
import { systemClock } from '#kernel/clock.ts'
import { projectId } from '#kernel/ids.ts'
import { silentLog } from '#kernel/log.ts'
import {
  createEgressProxy,
  type EgressProxyOptions
} from '../../../supervisor/egress/egress-proxy.ts'
import type { EgressRefusal } from '../../../supervisor/egress/refusals.ts'

interface Teardown {
  teardown(end: () => unknown): void
}

export const entries = (text: string) =>
  text.split(',').map((given) => {
    const parsed = parseAllowEntry(given)
    if ('expected' in parsed) throw new Error(`${given}: expected ${parsed.expected}`)
    return parsed.entry
  })

/** A proxy, a port of this machine that leads to it, and what it has refused. */
export async function givenProxy(
  t: Teardown,
  allow: string,
  overrides: Partial<EgressProxyOptions> = {}
) {
  const refusals: EgressRefusal[] = []
  const proxy = createEgressProxy({
    allow: entries(allow),
    bytesPerDay: 1e9,
    onRefused: (refusal) => refusals.push(refusal),
    log: silentLog,
    clock: systemClock,
    ...overrides
  })
  const id = projectId.create()
  const server = createServer({ allowHalfOpen: true }, (socket) => proxy.accept(id, socket))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    proxy[Symbol.dispose]()
    server.close()
  })
  const { port } = server.address() as AddressInfo

  /** Sends this text and answers everything that comes back until the end, or until `until` has come. */
  const exchange = async (text: string, until?: RegExp) => {
    const socket = connect({ port, host: '127.0.0.1' })
    t.teardown(() => socket.destroy())
    socket.write(text)
    let answer = ''
    try {
      for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
        answer += String(chunk)
        if (until?.test(answer)) break
      }
    } catch {
      answer += '[broken]'
    }
    return { socket, answer }
  }
  const tunnel = (authority: string, more = '') =>
    exchange(
      `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n${more}`,
      /200 Con.*\r\n\r\n/
    )
  return { port, url: `http://127.0.0.1:${port}`, id, proxy, refusals, exchange, tunnel }
}

/** A server of this machine; answers the port. */
export async function listening(
  t: Teardown,
  server: { listen(port: number, host: string): unknown; close(): unknown; address(): unknown }
): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server as unknown as NodeJS.EventEmitter, 'listening')
  t.teardown(() => server.close())
  return (server.address() as AddressInfo).port
}
