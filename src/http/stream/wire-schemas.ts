import { Type, type TSchema } from 'typebox'
import { FRAME_DATA, Frame, PROTOCOL_VERSION } from '#kernel/frames.ts'
import { Time } from '#kernel/schema-kit.ts'
import { ClientMessage } from './messages.ts'
import { NOTICE_DATA } from './notices.ts'

const DIALECT = 'https://json-schema.org/draft/2020-12/schema'

export interface WireSchema {
  /** The name of its file: the type, with a dot instead of the colon. */
  readonly name: string
  readonly schema: object
}

const Notice = Type.Object({
  v: Type.Literal(PROTOCOL_VERSION),
  type: Type.String(),
  projectId: Type.Optional(Type.String()),
  ts: Time,
  data: Type.Unknown()
})

const fileOf = (type: string) => type.replace(':', '.')
const idOf = (name: string) => `kilowatt:///schemas/v${PROTOCOL_VERSION}/${name}.json`

function document(name: string, title: string, schema: object): WireSchema {
  const plain = JSON.parse(JSON.stringify(schema)) as object
  return { name, schema: { $schema: DIALECT, $id: idOf(name), title, ...plain } }
}

const ofType = (envelope: typeof Frame | typeof Notice, type: string, data: TSchema) =>
  Type.Object({ ...envelope.properties, type: Type.Literal(type), data })

/** A known type must match its schema; an unknown type must only match the envelope. */
function union(envelope: TSchema, data: Record<string, TSchema>) {
  const allOf = Object.entries(data).map(([type, schema]) => ({
    if: { properties: { type: { const: type } }, required: ['type'] },
    // oxlint-disable-next-line unicorn/no-thenable -- the word of JSON Schema
    then: { properties: { data: schema } }
  }))
  return { ...envelope, allOf }
}

/** JSON Schemas of all messages: one per type, and the unions of each direction. */
export function wireSchemas(): WireSchema[] {
  return [
    ...Object.entries(FRAME_DATA).map(([type, data]) =>
      document(fileOf(type), `The frame ${type}`, ofType(Frame, type, data))
    ),
    ...Object.entries(NOTICE_DATA).map(([type, data]) =>
      document(type, `The message ${type}`, ofType(Notice, type, data))
    ),
    document('frame', 'Any frame, including unknown types', union(Frame, FRAME_DATA)),
    document(
      'notice',
      'Any message that is not history, including unknown types',
      union(Notice, NOTICE_DATA)
    ),
    document('client-message', 'A message from a client', ClientMessage)
  ]
}
