import { Type, type Static, type TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import type { HandledEvent } from './known-names.ts'

const optional = <T extends TSchema>(schema: T) => Type.Optional(schema)
const text = Type.String()

/** A frame of `/global/event`. Fields that are not read are not described, and are allowed. */
const KiloFrame = Type.Object({
  payload: Type.Object({ id: optional(text), type: text, properties: optional(Type.Unknown()) })
})
export type KiloPayload = Static<typeof KiloFrame>['payload']

/** The second copy of a durable change, with its number within its session. */
const SyncPayload = Type.Object({
  type: Type.Literal('sync'),
  syncEvent: Type.Object({ aggregateID: text, seq: Type.Integer({ minimum: 0 }) })
})

/** A durable change as `/sync/history` returns it; `type` ends with a version. */
const HistoryEvent = Type.Object({
  id: text,
  aggregate_id: text,
  seq: Type.Integer({ minimum: 0 }),
  type: text,
  data: Type.Unknown()
})
export type HistoryEvent = Static<typeof HistoryEvent>

export const KiloError = Type.Object({
  name: text,
  data: optional(
    Type.Object({
      message: optional(text),
      statusCode: optional(Type.Number()),
      metadata: optional(Type.Object({ code: optional(text) }))
    })
  )
})
export type KiloError = Static<typeof KiloError>

export const MessageInfo = Type.Object({
  id: text,
  sessionID: text,
  role: text,
  time: Type.Object({ created: Type.Number(), completed: optional(Type.Number()) }),
  providerID: optional(text),
  modelID: optional(text),
  summary: optional(Type.Unknown()),
  finish: optional(text),
  error: optional(KiloError)
})
export type MessageInfo = Static<typeof MessageInfo>

const part = { id: text, sessionID: text, messageID: text }

/** The common fields of all parts; the type decides which others are read. */
export const AnyPart = Type.Object({ ...part, type: text })
export type AnyPart = Static<typeof AnyPart>

export const TextPart = Type.Object({
  ...part,
  type: Type.Enum(['text', 'reasoning']),
  text,
  time: optional(Type.Object({ end: optional(Type.Number()) }))
})
export type TextPart = Static<typeof TextPart>

export const ToolPart = Type.Object({
  ...part,
  type: Type.Literal('tool'),
  tool: text,
  state: Type.Object({
    status: text,
    input: optional(Type.Unknown()),
    output: optional(text),
    error: optional(text),
    title: optional(text),
    metadata: optional(Type.Unknown())
  })
})
export type ToolPart = Static<typeof ToolPart>

const count = Type.Number()
const Tokens = Type.Object({
  input: count,
  output: count,
  reasoning: count,
  cache: Type.Object({ read: count, write: count })
})

export const StepFinishPart = Type.Object({
  ...part,
  type: Type.Literal('step-finish'),
  cost: count,
  tokens: Tokens
})
export type StepFinishPart = Static<typeof StepFinishPart>

/** A request to the user, and the message whose tool made it. */
const asking = {
  id: text,
  sessionID: text,
  tool: optional(Type.Object({ messageID: text }))
}

export const PermissionAsked = Type.Object({
  ...asking,
  permission: text,
  patterns: Type.Array(text),
  metadata: optional(Type.Record(text, Type.Unknown()))
})
export type PermissionAsked = Static<typeof PermissionAsked>

export const QuestionAsked = Type.Object({
  ...asking,
  questions: Type.Array(
    Type.Object({
      question: text,
      header: optional(text),
      options: optional(Type.Array(Type.Object({ label: text, description: optional(text) }))),
      multiple: optional(Type.Boolean())
    })
  )
})
export type QuestionAsked = Static<typeof QuestionAsked>

export const SessionStatus = Type.Object({
  type: text,
  attempt: optional(Type.Number()),
  message: optional(text),
  next: optional(Type.Number())
})
export type SessionStatus = Static<typeof SessionStatus>

const session = { sessionID: text }
const SessionInfo = Type.Object({ info: Type.Object({ id: text, parentID: optional(text) }) })

/** The properties of each event that is handled, by its type. */
export const EVENTS = {
  'session.created': SessionInfo,
  'session.updated': SessionInfo,
  'session.turn.open': Type.Object(session),
  'session.turn.close': Type.Object({ ...session, reason: text }),
  'session.error': Type.Object({ sessionID: optional(text), error: optional(KiloError) }),
  'session.status': Type.Object({ ...session, status: SessionStatus }),
  'session.network.asked': Type.Object({ ...session, id: text, message: optional(text) }),
  'message.updated': Type.Object({ info: MessageInfo }),
  'message.part.updated': Type.Object({ part: AnyPart }),
  'message.part.delta': Type.Object({
    ...session,
    messageID: text,
    partID: text,
    field: text,
    delta: text
  }),
  'todo.updated': Type.Object({
    ...session,
    todos: Type.Array(Type.Object({ content: text, status: text, priority: text }))
  }),
  'permission.asked': PermissionAsked,
  'permission.replied': Type.Object({ ...session, requestID: text }),
  'question.asked': QuestionAsked,
  'question.replied': Type.Object({ ...session, requestID: text }),
  'question.rejected': Type.Object({ ...session, requestID: text })
} as const satisfies Record<HandledEvent, TSchema>

export type KiloEvent = {
  [N in HandledEvent]: { readonly name: N; readonly properties: Static<(typeof EVENTS)[N]> }
}[HandledEvent]

/** Compiles a schema once: every frame is checked. */
export function guard<T extends TSchema>(schema: T) {
  const check = Compile(schema)
  return (value: unknown): value is Static<T> => check.Check(value)
}

// A Map: a type such as `constructor` must not find an inherited property.
const guards = new Map(Object.entries(EVENTS).map(([name, schema]) => [name, guard(schema)]))

/** The event, or undefined when its type is not handled or its properties do not match the schema. */
export function readEvent(payload: KiloPayload): KiloEvent | undefined {
  const properties = payload.properties
  if (!guards.get(payload.type)?.(properties)) return undefined
  return { name: payload.type, properties } as KiloEvent
}

export const isFrame = guard(KiloFrame)
export const isSync = guard(SyncPayload)
export const isHistoryEvent = guard(HistoryEvent)
export const isMessageUpdated = guard(EVENTS['message.updated'])
export const isTextPart = guard(TextPart)
export const isToolPart = guard(ToolPart)
export const isStepFinishPart = guard(StepFinishPart)

/** The session of an event, wherever Kilo puts its id; undefined when there is none. */
export function sessionOf({ properties }: Pick<KiloPayload, 'properties'>): string | undefined {
  const { sessionID, part, info } = fieldsOf(properties)
  return [sessionID, fieldsOf(part)['sessionID'], fieldsOf(info)['sessionID']].find(
    (id) => typeof id === 'string'
  )
}

const fieldsOf = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null ? { ...value } : {}
