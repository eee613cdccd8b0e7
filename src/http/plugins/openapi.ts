import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { App } from '../app-deps.ts'

const DESCRIPTION = `A backend for agentic IDEs: send a prompt, and Kilo carries it out in the project's git
workspace while you watch. Frames report what happens: over \`/ws\`, as server-sent events or as JSON pages.`

/** Publishes the schemas of the routes as an OpenAPI document, and as a page at `/docs`. */
export async function publishDocuments(app: App, version: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Kilowatt', description: DESCRIPTION, version },
      components: {
        securitySchemes: { key: { type: 'http', scheme: 'bearer', bearerFormat: 'kw_…' } }
      },
      security: [{ key: [] }]
    },
    transform: ({ schema, url }) => ({
      schema: nameWildcard(schema),
      url: url.replace('*', ':path')
    })
  })
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: true,
    transformStaticCSP: tighten
  })

  app.get(
    '/openapi.json',
    { config: { watched: true, rateLimit: false }, schema: { hide: true } },
    async () => app.swagger() as never
  )
}

/** The page needs nothing from other servers, and must also work where this server is reached without TLS. */
const tighten = (policy: string) =>
  policy
    .replace(/;? *upgrade-insecure-requests/, '')
    .replace(/ https:/g, '')
    .replace(/ validator\.swagger\.io/, '')
    .replace("frame-ancestors 'self'", "frame-ancestors 'none'")

/** The router calls the rest of a path `*`; the document names it `path`. */
function nameWildcard<T>(schema: T): T {
  const { params } = schema as { params?: { properties?: Record<string, unknown> } }
  if (!params?.properties?.['*']) return schema
  const { '*': path, ...others } = params.properties
  const properties = { ...others, path }
  return { ...schema, params: { ...params, properties, required: Object.keys(properties) } }
}
