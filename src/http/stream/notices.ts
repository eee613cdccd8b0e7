import { Type, type Static, type TSchema } from 'typebox'
import { PROTOCOL_VERSION, Review } from '#kernel/frames.ts'
import { JobView } from '#jobs'
import { Nullable } from '#kernel/schema-kit.ts'

const Seq = Type.Integer({ minimum: 0 })
const pendingOf = (kind: 'permissions' | 'questions') =>
  Type.Intersect([
    Type.Object({ jobId: Type.String() }),
    JobView.properties.pending.properties[kind].items
  ])

/** The data of messages that are not history: they have no `seq` and are never replayed. */
export const NOTICE_DATA = {
  hello: Type.Object(
    {
      protocol: Type.String(),
      serverVersion: Type.String(),
      heartbeatMs: Type.Integer({ minimum: 1 }),
      limits: Type.Object({
        subscriptions: Type.Integer(),
        messageBytes: Type.Integer(),
        waitingBytes: Type.Integer()
      })
    },
    { description: 'first message of a socket, sent once' }
  ),
  snapshot: Type.Object(
    {
      seq: Type.Integer({ minimum: 0, description: 'frames after this `seq` follow' }),
      project: Type.Object({
        id: Type.String(),
        name: Type.String(),
        review: Review,
        head: Nullable(
          Type.String({ description: 'the commit of main; null: the workspace cannot be read' })
        )
      }),
      jobs: Type.Array(JobView, { description: 'unfinished jobs' }),
      pending: Type.Object({
        permissions: Type.Array(pendingOf('permissions')),
        questions: Type.Array(pendingOf('questions'))
      }),
      balance: Type.Number({ description: 'spendable credits of the wallet' })
    },
    { description: 'state of the project: once per subscription, before its frames' }
  ),
  resync: Type.Object(
    {
      oldestSeq: Type.Integer({ minimum: 1, description: 'the oldest frame that is still kept' }),
      lastSeq: Type.Integer({ minimum: 0, description: 'frames after this `seq` follow' })
    },
    { description: 'history does not contain the requested `seq`: some frames are missing' }
  ),
  heartbeat: Type.Object(
    {
      projectId: Type.String(),
      lastSeq: Type.Integer({ ...Seq, description: 'all frames up to this `seq` have been sent' })
    },
    { description: 'sent periodically, per subscription' }
  ),
  pong: Type.Object({}, { description: 'the answer to `ping`' }),
  error: Type.Object(
    {
      code: Type.String(),
      message: Type.String(),
      id: Type.Optional(
        Type.Union([Type.String(), Type.Number()], {
          description: 'the `id` of the refused message, if it had one'
        })
      ),
      errors: Type.Optional(
        Type.Array(Type.Object({ path: Type.String(), message: Type.String() }), {
          description: 'the invalid fields'
        })
      )
    },
    {
      description:
        'a message was invalid, or a project of several does not exist any more; the socket stays open'
    }
  )
} as const satisfies Record<string, TSchema>

export type NoticeType = keyof typeof NOTICE_DATA
export type NoticeData<T extends NoticeType> = Static<(typeof NOTICE_DATA)[T]>

/** A message that is not history. */
export const notice = <T extends NoticeType>(type: T, data: NoticeData<T>, projectId?: string) => ({
  v: PROTOCOL_VERSION,
  type,
  ...(projectId && { projectId }),
  ts: new Date().toISOString(),
  data
})
