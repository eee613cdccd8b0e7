import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { Agent, fetch as fetchWith, type buildConnector, type Dispatcher } from 'undici'

/** Opens a connection to a Kilo, which may be in a room that this process cannot reach by an address. */
export type KiloConnect = () => Promise<Duplex>

type KiloFetch = (request: Request) => Promise<Response>

/** HTTP to one Kilo. Disposing it closes its connections. */
export interface KiloHttp extends AsyncDisposable {
  readonly fetch: KiloFetch
  /** A dispatcher of its own, for a connection that must not share a pool. */
  dispatcher(options: Omit<Agent.Options, 'connect'>): Dispatcher
}

export function createKiloHttp(connect: KiloConnect): KiloHttp {
  const dispatcher = new Agent({ connect: connectorOf(connect) })
  return {
    async fetch(request) {
      // The SDK's request is one of Node's own fetch, which is another class than that of this undici.
      const body = request.body === null ? null : await request.arrayBuffer()
      const response = await fetchWith(request.url, {
        method: request.method,
        headers: Object.fromEntries(request.headers),
        signal: request.signal,
        body,
        dispatcher
      })
      return response
    },
    dispatcher: (options) => new Agent({ ...options, connect: connectorOf(connect) }),
    [Symbol.asyncDispose]: () => dispatcher.destroy()
  }
}

const connectorOf =
  (connect: KiloConnect): buildConnector.connector =>
  (_options, callback) => {
    connect().then(
      (connection) => callback(null, connection as Socket),
      (error: Error) => callback(error, null)
    )
  }
