import { Type } from 'typebox'
import { AppError } from '#kernel/errors.ts'
import { PROTOCOL_VERSION } from '#kernel/frames.ts'
import type { App } from '../app-deps.ts'
import { wireSchemas } from '../stream/wire-schemas.ts'

/** The JSON Schemas of the wire protocol, the same as in docs/schemas; without authentication. */
export function schemaRoutes(app: App): void {
  const schemas = new Map(wireSchemas().map(({ name, schema }) => [`${name}.json`, schema]))

  app.get(
    `/schemas/v${PROTOCOL_VERSION}/:file`,
    {
      config: { rateLimit: false },
      schema: { hide: true, params: Type.Object({ file: Type.String({ maxLength: 64 }) }) }
    },
    async (request, reply) => {
      const schema = schemas.get(request.params.file)
      if (!schema) {
        const known = [...schemas.keys()]
        throw new AppError('not_found', `Unknown schema ${request.params.file}`, { known })
      }
      void reply.type('application/schema+json')
      return JSON.stringify(schema)
    }
  )
}
