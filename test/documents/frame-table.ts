import { Credits, FRAME_DATA } from '#kernel/frames.ts'

/** The part of a JSON Schema that a reader of a table wants to know. */
interface Shape {
  readonly description?: string
  readonly properties?: Record<string, Shape>
  readonly required?: readonly string[]
  readonly items?: Shape
  readonly enum?: readonly string[]
  readonly anyOf?: readonly Shape[]
}

const PROPERTIES_SHOWN_MAX = 4
const code = (word: string) => `\`${word}\``

/** What a value is when it is there: of something that may be null, the something. */
const solid = (shape: Shape): Shape => shape.anyOf?.[0] ?? shape

function insideOf(shape: Shape): string {
  const { properties, items } = solid(shape)
  if (items) return insideOf(items) && `: [${insideOf(items).slice(2)}]`
  const names = Object.keys(properties ?? {})
  return names.length > 0 && names.length <= PROPERTIES_SHOWN_MAX ? `: { ${names.join(', ')} }` : ''
}

function property([name, shape]: [string, Shape], required: readonly string[]): string {
  const label = code(`${name}${required.includes(name) ? '' : '?'}${insideOf(shape)}`)
  const { description, enum: words } = solid(shape)
  const described = description === (Credits as Shape).description ? undefined : description
  const note = described ?? words?.map(code).join(', ')
  return note ? `${label} (${note})` : label
}

function dataOf({ description, properties = {}, required = [] }: Shape): string {
  const list = Object.entries(properties).map((entry) => property(entry, required))
  return `${description ? `${description}: ` : ''}${list.join(', ')}`
}

/** The frames as docs/protocol.md shows them; types that carry the same stand in one row. */
export function frameTable(): string {
  const rows = new Map<unknown, string[]>()
  for (const [type, schema] of Object.entries(FRAME_DATA)) {
    rows.set(schema, [...(rows.get(schema) ?? []), type])
  }
  const lines = [...rows].map(
    ([schema, types]) => `| ${types.map(code).join(', ')} | ${dataOf(schema as Shape)} |`
  )
  return ['| type | data |', '|---|---|', ...lines].join('\n')
}
