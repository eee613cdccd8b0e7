import fc from 'fast-check'

/** What we read of a JSON schema: enough for those of our own routes. */
export interface JsonSchema {
  readonly type?: string
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly anyOf?: readonly JsonSchema[]
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly required?: readonly string[]
  readonly items?: JsonSchema
  readonly pattern?: string
  readonly minLength?: number
  readonly maxLength?: number
  readonly minItems?: number
  readonly maxItems?: number
  readonly minimum?: number
  readonly maximum?: number
  readonly exclusiveMinimum?: number
}

const SHORT = 30

/** Values that a request may contain, and that handlers have failed on. */
export const hostile: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    0,
    -1,
    1e21,
    1e-7,
    Number.MAX_SAFE_INTEGER,
    '',
    ' ',
    '\0',
    'a\0b',
    '\ud800',
    '\udfff',
    '\u202e',
    '../..',
    '%00',
    "'; DROP TABLE users; --",
    '{{7*7}}',
    'x'.repeat(70_000),
    [],
    {},
    [[[[[[[[]]]]]]]],
    { constructor: { prototype: { admin: true } } },
    'NaN',
    'null',
    '1e400'
  ),
  fc.string({ unit: 'binary', maxLength: SHORT }),
  fc.jsonValue({ maxDepth: 2 })
)

/** Mostly what the schema wants, at every level sometimes at its edge, and sometimes something else. */
export function around(schema: JsonSchema): fc.Arbitrary<unknown> {
  return fc.oneof({ weight: 12, arbitrary: within(schema) }, { weight: 1, arbitrary: hostile })
}

function within(schema: JsonSchema): fc.Arbitrary<unknown> {
  if ('const' in schema) return fc.constant(schema.const)
  if (schema.enum) return fc.constantFrom(...schema.enum)
  if (schema.anyOf) return fc.oneof(...schema.anyOf.map(around))
  switch (schema.type) {
    case 'object':
      return object(schema)
    case 'array':
      return fc.array(around(schema.items ?? {}), {
        minLength: schema.minItems ?? 0,
        maxLength: Math.min(schema.maxItems ?? 3, 3)
      })
    case 'string':
      return text(schema)
    case 'integer':
    case 'number':
      return number(schema)
    case 'boolean':
      return fc.boolean()
    case 'null':
      return fc.constant(null)
    case undefined:
    default:
      return hostile
  }
}

function object({ properties = {}, required = [] }: JsonSchema): fc.Arbitrary<unknown> {
  const fields = Object.fromEntries(
    Object.entries(properties).map(([name, schema]) => [name, around(schema)])
  )
  const bare = fc.record(Object.fromEntries(required.map((name) => [name, fields[name]!])))
  const known = fc.oneof(bare, fc.record(fields, { requiredKeys: [...required] }))
  const withUnknownField = fc.tuple(known, fc.string({ maxLength: 5 }), hostile)
  return fc.oneof(
    { weight: 12, arbitrary: known },
    {
      weight: 1,
      arbitrary: withUnknownField.map(([value, name, more]) => ({
        ...(value as object),
        [name]: more
      }))
    }
  )
}

function text({ pattern, minLength = 0, maxLength = SHORT }: JsonSchema): fc.Arbitrary<string> {
  const plain = fc.string({ minLength, maxLength: Math.min(maxLength, minLength + SHORT) })
  const long = fc.constantFrom('x'.repeat(maxLength), 'x'.repeat(maxLength + 1))
  const anything = fc.string({ unit: 'binary', maxLength: SHORT })
  const fitting = pattern === undefined ? plain : fc.stringMatching(new RegExp(pattern))
  return fc.oneof(
    { weight: 6, arbitrary: fitting },
    { weight: 1, arbitrary: anything },
    { weight: 1, arbitrary: long }
  )
}

function number(schema: JsonSchema): fc.Arbitrary<number> {
  const min = schema.minimum ?? schema.exclusiveMinimum ?? -10
  const max = schema.maximum ?? 1e9
  const edges = fc.constantFrom(min, min - 1, max, max + 1)
  const middle = fc.integer({ min: Math.ceil(min), max: Math.min(max, min + 1000) })
  return fc.oneof({ weight: 4, arbitrary: middle }, edges, fc.double({ min, max, noNaN: true }))
}
