import { Compile } from 'typebox/schema'
import { wireSchemas } from '../../src/http/stream/wire-schemas.ts'

/** A field that no schema mentions is a field that no reader of the documents knows of. */
function strict(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(strict)
  if (typeof schema !== 'object' || schema === null) return schema
  const copy = Object.fromEntries(Object.entries(schema).map(([key, one]) => [key, strict(one)]))
  // The parts of an intersection know only their own fields.
  if ('allOf' in schema) return { ...schema, unevaluatedProperties: false }
  return 'properties' in schema ? { ...copy, additionalProperties: false } : copy
}

const checks = new Map(
  wireSchemas().map(({ name, schema }) => [
    name.replace('.', ':'),
    Compile(strict(schema) as never)
  ])
)

/** Throws unless a frame or a notice is exactly what the published schema of its type says. */
export function checkMessage<T extends { readonly type: string }>(message: T): T {
  const check = checks.get(message.type)
  if (!check) throw new Error(`No schema is published for messages of type ${message.type}`)
  if (check.Check(message)) return message
  const errors = JSON.stringify(check.Errors(message))
  throw new Error(
    `A ${message.type} is not as its schema says: ${errors} ${JSON.stringify(message)}`
  )
}
