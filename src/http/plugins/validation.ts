import type { FastifySchemaCompiler } from 'fastify'
import type { TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { AppError } from '#kernel/errors.ts'

const ERRORS_SHOWN_MAX = 10
const PARTS: Record<string, string> = { querystring: 'query', params: 'path' }

/**
 * Checks every part of a request against its schema, as it came: nothing is added, dropped or bent into shape.
 * Only a query, which is all text, has its numbers and its yes and no read first.
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

interface SchemaError {
  readonly keyword: string
  readonly instancePath: string
  readonly message: string
  readonly params: Readonly<Record<string, unknown>>
}

/** What the schema's own words leave unsaid: which field, which values. */
function wordsFor({ keyword, params, message }: SchemaError): string {
  const list = (values: unknown) => (values as unknown[]).join(', ')
  switch (keyword) {
    // A schema says `false` of a field that it does not have.
    case 'boolean':
      return 'is not a field that we know'
    case 'required':
      return `lacks ${list(params['requiredProperties'])}`
    case 'enum':
      return `must be one of ${list(params['allowedValues'])}`
    default:
      return message
  }
}

function refusalOf(part: string, found: readonly SchemaError[]): AppError {
  const errors = found.slice(0, ERRORS_SHOWN_MAX).map((error) => ({
    path: `${part}${error.instancePath}`,
    message: wordsFor(error)
  }))
  const [first] = errors
  const detail = first ? `${first.path} ${first.message}` : `The ${part} is not valid`
  return new AppError('invalid_request', detail, { errors })
}
