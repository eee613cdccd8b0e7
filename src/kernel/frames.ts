import { Type, type Static, type TSchema } from 'typebox'
import { Nullable, OneOf, Time } from './schema-kit.ts'

/** The version of the wire protocol: `v` in every frame, and the WebSocket subprotocol. */
export const PROTOCOL_VERSION = 1
export const SUBPROTOCOL = 'kilowatt.v1'

export const Credits = Type.Number({ minimum: 0, description: 'credits, at most six decimals' })

export const UsageTotals = Type.Object({
  input: Type.Integer(),
  output: Type.Integer(),
  reasoning: Type.Integer(),
  cacheRead: Type.Integer(),
  cacheWrite: Type.Integer(),
  costUsd: Type.Number({ description: 'the price that the provider asks, in US dollars' }),
  metered: Type.Optional(
    Type.Boolean({
      description: 'true: counted by the model gateway, not only reported by the agent'
    })
  )
})
export type UsageTotals = Static<typeof UsageTotals>

export const NO_USAGE_TOTALS: UsageTotals = {
  input: 0,
  output: 0,
  reasoning: 0,
  cacheRead: 0,
  cacheWrite: 0,
  costUsd: 0
}

/** Whether a failure that an agent can cause itself was refunded, or the limit that prevented it. */
export const Goodwill = OneOf('refunded', 'day_limit', 'hour_limit')
export type Goodwill = Static<typeof Goodwill>

export const JobCredits = Type.Object({
  reserved: Credits,
  charged: Credits,
  refunded: Credits,
  goodwill: Type.Optional(Goodwill)
})
export type JobCredits = Static<typeof JobCredits>

export const JobStatus = OneOf(
  'queued',
  'starting',
  'running',
  'settling',
  'succeeded',
  'failed',
  'cancelled'
)
export type JobStatus = Static<typeof JobStatus>

/** What happens to a job's finished work: merged into main, or held until a person decides. */
export const Review = OneOf('merge', 'hold')
export type Review = Static<typeof Review>

export const MergeState = OneOf(
  'none',
  'merging',
  'merged',
  'held',
  'conflict',
  'discarded',
  'reverted'
)
export type MergeState = Static<typeof MergeState>

export const FileStatus = OneOf('added', 'modified', 'deleted')
export type FileStatus = Static<typeof FileStatus>

const DiffFile = Type.Object({
  path: Type.String(),
  status: FileStatus,
  additions: Type.Integer(),
  deletions: Type.Integer()
})
const FileData = Type.Object({
  path: Type.String({ description: 'relative to the worktree, with /' }),
  sha: Nullable(Type.String({ description: 'git blob id; null: deleted' })),
  by: Type.Literal('agent')
})
const Todo = Type.Object({
  content: Type.String(),
  status: Type.String(),
  priority: Type.String()
})
export const AgentQuestion = Type.Object({
  question: Type.String(),
  header: Type.String(),
  options: Type.Array(Type.Object({ label: Type.String(), description: Type.String() })),
  multiple: Type.Boolean()
})

/** The data of each frame type. Clients ignore types and fields that they do not know. */
export const FRAME_DATA = {
  'job:queued': Type.Object({
    text: Type.String(),
    mode: Type.String(),
    model: Type.String(),
    position: Type.Integer({ description: 'number of jobs ahead in the queue' }),
    creditsReserved: Credits
  }),
  'job:running': Type.Object({
    branch: Type.String(),
    sessionId: Type.String(),
    model: Type.String(),
    isolation: Type.Optional(
      Type.String({ description: 'sandbox of the agent: `bubblewrap` or `process`' })
    ),
    network: Type.Optional(
      Type.String({
        description: '`closed`: the agent has no network; `shared`: it has that of the machine'
      })
    ),
    uid: Type.Optional(
      Type.String({
        description: '`shared`: agents run as one user of the machine; `own`: each as its own'
      })
    )
  }),
  'job:log': Type.Object({
    source: OneOf('assistant', 'reasoning', 'tool', 'system'),
    partId: Type.String(),
    text: Type.String({ description: 'new text: the joined texts of a part are the whole part' })
  }),
  'job:tool': Type.Object({
    callId: Type.String(),
    tool: Type.String(),
    status: OneOf('running', 'completed', 'error'),
    title: Type.String(),
    input: Type.Optional(Type.Unknown()),
    output: Type.Optional(Type.String()),
    truncated: Type.Optional(Type.Literal(true, { description: 'input or output was cut' }))
  }),
  'job:todo': Type.Object({ items: Type.Array(Todo, { description: 'the whole list' }) }),
  'job:permission': Type.Object({
    permissionId: Type.String(),
    kind: Type.String(),
    patterns: Type.Array(Type.String()),
    title: Type.String(),
    expiresAt: Time
  }),
  'job:permission-resolved': Type.Object({
    permissionId: Type.String(),
    reply: OneOf('once', 'always', 'reject'),
    by: Type.String({ description: 'a user id, or `policy`' })
  }),
  'job:question': Type.Object({
    questionId: Type.String(),
    questions: Type.Array(AgentQuestion),
    expiresAt: Time
  }),
  'job:question-resolved': Type.Object({
    questionId: Type.String(),
    answers: Nullable(
      Type.Array(Type.Array(Type.String()), {
        description: 'null: rejected, or not answered in time'
      })
    ),
    by: Type.String({ description: 'a user id, or `policy`' })
  }),
  'job:file-created': FileData,
  'job:file-updated': FileData,
  'job:file-deleted': FileData,
  'job:diff': Type.Object({
    base: Type.String(),
    head: Type.String(),
    files: Type.Array(DiffFile),
    patch: Type.Optional(Type.String()),
    truncated: Type.Optional(Type.Literal(true))
  }),
  'job:credits-used': Type.Object({
    credits: Credits,
    usage: UsageTotals,
    final: Type.Boolean({ description: 'true: the final amount' })
  }),
  'job:success': Type.Object({
    commit: Nullable(Type.String({ description: 'null: nothing changed' })),
    branch: Type.String(),
    merge: MergeState,
    credits: JobCredits
  }),
  'job:error': Type.Object({
    code: Type.String(),
    message: Type.String(),
    retryable: Type.Boolean(),
    credits: JobCredits,
    branch: Nullable(Type.String())
  }),
  'file:changed': Type.Object(
    {
      path: Type.String(),
      pathEncoding: Type.Optional(Type.Literal('percent')),
      sha: Nullable(Type.String({ description: 'null: deleted' })),
      commit: Nullable(Type.String({ description: 'null: not committed' })),
      ignored: Type.Optional(Type.Literal(true)),
      by: Type.String({ description: 'a user id' })
    },
    { description: 'a file was saved through the API' }
  ),
  'job:conflict-risk': Type.Object(
    { path: Type.String(), jobId: Type.String(), by: OneOf('user', 'agent') },
    { description: 'a person and the running job changed the same file; `by` did it last' }
  ),
  'project:changed': Type.Object(
    {
      head: Type.String({ description: 'the commit of main' }),
      jobId: Type.String(),
      merge: MergeState,
      by: Type.String({ description: 'a user id' })
    },
    { description: 'a review decision changed main or the state of a job’s work' }
  )
} as const satisfies Record<string, TSchema>

export type FrameType = keyof typeof FRAME_DATA
export type FrameData<T extends FrameType> = Static<(typeof FRAME_DATA)[T]>

/** A frame before the log assigns its `seq`. */
export type Draft = {
  [T in FrameType]: { readonly type: T; readonly data: FrameData<T> }
}[FrameType]

/** One entry of a project's history, the same over WebSocket, SSE and JSON pages. */
export const Frame = Type.Object({
  v: Type.Literal(PROTOCOL_VERSION),
  type: Type.String(),
  id: Type.String(),
  projectId: Type.String(),
  jobId: Nullable(Type.String()),
  seq: Type.Integer({ minimum: 1, description: 'counts from 1 in each project, without gaps' }),
  ts: Time,
  data: Type.Unknown()
})
export type Frame = Static<typeof Frame>

/** The two frames that end a job; each job has exactly one of them. */
export const TERMINAL_FRAMES = ['job:success', 'job:error'] as const satisfies FrameType[]

/** Whether this frame ends its job. */
export const isTerminalFrame = ({ type }: Pick<Frame, 'type'>): boolean =>
  (TERMINAL_FRAMES as readonly string[]).includes(type)
