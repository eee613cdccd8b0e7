import { Type, type Static } from 'typebox'
import { Compile } from 'typebox/compile'

const PROJECT = { projectId: Type.String({ maxLength: 64 }) }
const SEQ_MAX = Number.MAX_SAFE_INTEGER

/** What a client may say. Fields that we do not know are ignored, as clients ignore ours. */
export const ClientMessage = Type.Union([
  Type.Object({
    type: Type.Literal('subscribe'),
    ...PROJECT,
    after: Type.Optional(Type.Integer({ minimum: 0, maximum: SEQ_MAX }))
  }),
  Type.Object({ type: Type.Literal('unsubscribe'), ...PROJECT }),
  Type.Object({ type: Type.Literal('ping') })
])
export type ClientMessage = Static<typeof ClientMessage>

const checked = Compile(ClientMessage)

/** The message, or undefined when it is none that we know. */
export function readMessage(data: Buffer): ClientMessage | undefined {
  try {
    const message: unknown = JSON.parse(data.toString('utf8'))
    return checked.Check(message) ? message : undefined
  } catch {
    return undefined
  }
}

/** Why a socket is closed by us, as the protocol numbers it. */
export const CLOSE = {
  broken: 1011,
  restart: 1012,
  overload: 1013,
  forbidden: 4003,
  unknownProject: 4004,
  handshakeTooSlow: 4008
} as const
