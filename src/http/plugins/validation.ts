import type { FastifySchemaCompiler } from 'fastify'
import type { TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { refusalOf } from '../schema-refusal.ts'

const PARTS: Record<string, string> = { querystring: 'query', params: 'path' }

/**
 * Validates every part of a request against its schema without changing it: no defaults, no removal of fields, no
 * coercion. Only the integers and booleans of a query, which is all text, are parsed first.
 */
export const compileValidator: FastifySchemaCompiler<TSchema> = ({ schema, httpPart = 'body' }) => {
  const check = Compile(schema)
  const read = httpPart === 'querystring' ? reader(schema) : (value: unknown) => value

  return (value) => {
    const seen = read(value)
    if (check.Check(seen)) return { value: seen }
    return { error: refusalOf(PARTS[httpPart] ?? httpPart, check.Errors(seen)) }
  }
}

function reader(schema: TSchema) {
  const types = Object.entries(
    (schema as { properties?: Record<string, TSchema> }).properties ?? {}
  )

  return (query: unknown) => {
    const seen = { ...(query as Record<string, unknown>) }
    for (const [name, { type }] of types as [string, { type?: string }][]) {
      const text = seen[name]
      if (typeof text === 'string') seen[name] = readAs(type, text)
    }
    return seen
  }
}

function readAs(type: string | undefined, text: string): unknown {
  if (type === 'integer' && /^-?\d{1,16}$/.test(text)) return Number(text)
  if (type === 'boolean' && (text === 'true' || text === 'false')) return text === 'true'
  return text
}
