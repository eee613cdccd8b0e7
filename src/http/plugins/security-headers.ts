import helmet from '@fastify/helmet'
import { AppError } from '#kernel/errors.ts'
import type { App } from '../app-deps.ts'

const YEAR_SECONDS = 31_536_000

/**
 * Headers for browsers: answers are data, so a browser must not run, frame, sniff or store them. Some routes replace
 * them: a file has an ETag, and `/docs` a policy that allows its own scripts.
 */
export async function addSecurityHeaders(app: App, publicUrl: string | undefined): Promise<void> {
  const nothing = ["'none'"]
  await app.register(helmet, {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: nothing,
        baseUri: nothing,
        formAction: nothing,
        frameAncestors: nothing
      }
    },
    xFrameOptions: { action: 'deny' },
    // Without TLS the header would be ignored, and this server does not know of a proxy's TLS otherwise.
    strictTransportSecurity: publicUrl?.startsWith('https:')
      ? { maxAge: YEAR_SECONDS, includeSubDomains: false }
      : false
  })
  app.addHook('onRequest', async (_request, reply) => {
    void reply.header('cache-control', 'no-store')
  })
}

/**
 * Refuses requests for another host than that of `PUBLIC_URL`: a page of a foreign name that resolves to this server
 * (DNS rebinding) would otherwise count as the same origin. Health checks come by address.
 */
export function checkHosts(app: App, publicUrl: string | undefined): void {
  if (publicUrl === undefined) return
  const { protocol, host } = new URL(publicUrl)
  app.addHook('onRequest', async (request) => {
    if (request.routeOptions.config.watched) return
    if (URL.parse(`${protocol}//${request.host}`)?.host === host) return
    throw new AppError('forbidden', 'The Host of this request is not that of PUBLIC_URL')
  })
}
