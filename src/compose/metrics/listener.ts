import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Registry } from 'prom-client'

export interface MetricsListener extends AsyncDisposable {
  readonly url: string
}

/** Serves `GET /metrics` on a port of its own, without a key: for a network that only Prometheus reaches. */
export async function listenForMetrics(
  registry: Registry,
  { host, port }: { readonly host: string; readonly port: number }
): Promise<MetricsListener> {
  const server = createServer((request, response) => {
    const isKnown = request.method === 'GET' && request.url?.split('?', 1)[0] === '/metrics'
    if (!isKnown) return void response.writeHead(404).end()
    registry.metrics().then(
      (text) => response.writeHead(200, { 'content-type': registry.contentType }).end(text),
      () => response.writeHead(500).end()
    )
  })
  server.listen(port, host)
  await once(server, 'listening').catch((cause: NodeJS.ErrnoException) => {
    const reason = cause.code === 'EADDRINUSE' ? 'address already in use' : cause.message
    throw new Error(`METRICS_PORT ${port}: ${reason}`, { cause })
  })
  const { port: bound } = server.address() as AddressInfo
  const name = host.includes(':') ? `[${host}]` : host

  return {
    url: `http://${name}:${bound}/metrics`,
    async [Symbol.asyncDispose]() {
      server.close()
      server.closeAllConnections()
    }
  }
}
