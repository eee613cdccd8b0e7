import { AppError } from '#kernel/errors.ts'
import type { App } from '../app-deps.ts'

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] as const

/**
 * Answers unsupported methods of known paths with 405 and an `Allow` header. Call the returned function after all routes
 * are registered.
 */
export function refuseOtherMethods(app: App): () => void {
  const known = new Map<string, Set<string>>()
  app.addHook('onRoute', ({ url, method }) => {
    const methods = known.get(url) ?? new Set<string>()
    for (const one of [method].flat()) methods.add(one)
    known.set(url, methods)
  })

  return () => {
    for (const [url, allowed] of [...known]) {
      const others = METHODS.filter((method) => !allowed.has(method))
      if (url === '*' || url.startsWith('/docs') || others.length === 0) continue
      const allow = [...allowed].join(', ')
      app.route({
        url,
        method: others,
        schema: { hide: true },
        // After the rate limit has counted the request, and before the body is read.
        preParsing: async (request, reply) => {
          void reply.header('allow', allow)
          throw new AppError(
            'method_not_allowed',
            `${request.method} is not allowed here: use ${allow}`
          )
        },
        handler: () => {}
      })
    }
  }
}
