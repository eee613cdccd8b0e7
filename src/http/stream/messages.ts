import { Type, type Static } from 'typebox'
import { Compile, type Validator } from 'typebox/compile'
import { AppError } from '#kernel/errors.ts'
import { refusalOf } from '../schema-refusal.ts'

const PROJECT = { projectId: Type.String({ maxLength: 64 }) }
const SEQ_MAX = Number.MAX_SAFE_INTEGER

const MESSAGES = {
  subscribe: Type.Object({
    type: Type.Literal('subscribe'),
    ...PROJECT,
    after: Type.Optional(Type.Integer({ minimum: 0, maximum: SEQ_MAX }))
  }),
  unsubscribe: Type.Object({ type: Type.Literal('unsubscribe'), ...PROJECT }),
  ping: Type.Object({ type: Type.Literal('ping') })
}

/** A message from a client. Unknown fields are ignored, as clients ignore unknown fields of frames. */
export const ClientMessage = Type.Union([MESSAGES.subscribe, MESSAGES.unsubscribe, MESSAGES.ping])
export type ClientMessage = Static<typeof ClientMessage>

const TYPES = Object.keys(MESSAGES) as ClientMessage['type'][]
const typed = Compile(Type.Object({ type: Type.Enum(TYPES) }))
const checks: Record<ClientMessage['type'], Validator> = {
  subscribe: Compile(MESSAGES.subscribe),
  unsubscribe: Compile(MESSAGES.unsubscribe),
  ping: Compile(MESSAGES.ping)
}

/** Checks the type first, so that the error is about the fields of that type of message. */
export function readMessage(data: Buffer): ClientMessage {
  const message = parse(data)
  if (!typed.Check(message)) throw refusalOf('message', typed.Errors(message))
  const check = checks[message.type]
  if (!check.Check(message)) throw refusalOf('message', check.Errors(message))
  return message as ClientMessage
}

/** What an error names of the message that it refuses: its project, and the id that its client gave it. */
export interface Refused {
  readonly projectId?: string
  readonly id?: string | number
}

const ID_CHARS_MAX = 200

/** Also of a message that is invalid. */
export function refusedOf(data: Buffer): Refused {
  try {
    const { projectId, id } = parse(data) as Record<string, unknown>
    const isId = typeof id === 'number' || (typeof id === 'string' && id.length <= ID_CHARS_MAX)
    return {
      ...(typeof projectId === 'string' && projectId.length <= ID_CHARS_MAX && { projectId }),
      ...(isId && { id })
    }
  } catch {
    return {}
  }
}

function parse(data: Buffer): unknown {
  try {
    return JSON.parse(data.toString('utf8'))
  } catch (error) {
    throw new AppError('invalid_request', 'message is not JSON', {}, { cause: error })
  }
}

/** The codes with which the server closes a socket, see docs/protocol.md. */
export const CLOSE = {
  broken: 1011,
  restart: 1012,
  overload: 1013,
  unauthenticated: 4001,
  forbidden: 4003,
  unknownProject: 4004,
  handshakeTooSlow: 4008
} as const
