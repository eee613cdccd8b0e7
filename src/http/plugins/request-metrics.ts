import { Histogram, type Registry } from 'prom-client'
import type { App } from '../app-deps.ts'

/** Measures requests by method, route and status. */
export function measureRequests(app: App, registry: Registry): void {
  const durations = new Histogram({
    name: 'kilowatt_http_request_duration_seconds',
    help: 'Duration of HTTP requests, by route template',
    labelNames: ['method', 'route', 'status'] as const,
    buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
    registers: [registry]
  })

  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'none'
    const labels = { method: request.method, route, status: String(reply.statusCode) }
    durations.observe(labels, reply.elapsedTime / 1000)
  })
}
