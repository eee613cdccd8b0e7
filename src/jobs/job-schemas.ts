import { Type, type Static } from 'typebox'
import { LIMITS } from '#kernel/limits.ts'
import {
  AgentQuestion,
  FileStatus,
  JobCredits,
  JobStatus,
  MergeState,
  Review,
  UsageTotals
} from '#kernel/frames.ts'
import { Nullable, OnlyThese, Time, VisibleText } from '#kernel/schema-kit.ts'
import type { Resolution } from '#workspaces'

/** A prompt for the agent. */
export const AiCommand = Type.Object(
  {
    text: VisibleText(LIMITS.promptCharsMax),
    mode: Type.Optional(Type.String({ minLength: 1, maxLength: 64 })),
    currentFilePath: Type.Optional(Type.String({ minLength: 1, maxLength: 4096 })),
    model: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
    sessionId: Type.Optional(Type.String({ minLength: 1, maxLength: 64 })),
    review: Type.Optional(Review),
    maxCredits: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 1_000_000_000 }))
  },
  OnlyThese
)
export type AiCommand = Static<typeof AiCommand>

export const Submitted = Type.Object({
  jobId: Type.String(),
  status: Type.Literal('queued'),
  creditsReserved: Type.Number(),
  sessionId: Type.String(),
  position: Type.Integer({ description: 'how many jobs of this project run first' })
})
export type Submitted = Static<typeof Submitted>

/** What a command would reserve, and what it likely costs by this project's history. */
export const Estimate = Type.Object({
  creditsReserved: Type.Number({ description: 'how many credits the job would reserve' }),
  likely: Nullable(
    Type.Object(
      { low: Type.Number(), high: Type.Number() },
      { description: '10th and 90th percentile of the costs of those jobs; null without any' }
    )
  ),
  basedOnJobs: Type.Integer({
    description:
      'how many jobs the estimate is based on: the last successful ones of this project in that mode with that model, at most 20'
  }),
  balance: Type.Number({ description: 'credits that the wallet has' }),
  model: Type.String(),
  mode: Type.String()
})
export type Estimate = Static<typeof Estimate>

export const PendingPermission = Type.Object({
  permissionId: Type.String(),
  kind: Type.String(),
  patterns: Type.Array(Type.String()),
  title: Type.String(),
  expiresAt: Time
})
export const PendingQuestion = Type.Object({
  questionId: Type.String(),
  questions: Type.Array(AgentQuestion),
  expiresAt: Time
})

/** A job, as clients see it. */
export const JobView = Type.Object({
  id: Type.String(),
  projectId: Type.String(),
  sessionId: Type.String(),
  status: JobStatus,
  text: Type.String(),
  mode: Type.String(),
  model: Type.String(),
  branch: Nullable(Type.String()),
  commit: Nullable(Type.String()),
  basedOn: Nullable(
    Type.String({
      description: 'the job whose unreviewed work this job’s work stands on: a merge takes it along'
    })
  ),
  merge: MergeState,
  credits: JobCredits,
  usage: UsageTotals,
  error: Nullable(
    Type.Object({ code: Type.String(), message: Type.String(), retryable: Type.Boolean() })
  ),
  pending: Type.Object({
    permissions: Type.Array(PendingPermission),
    questions: Type.Array(PendingQuestion)
  }),
  position: Nullable(Type.Integer()),
  lastSeq: Type.Integer({
    description: '`seq` of the last frame of its project: a cursor to subscribe from'
  }),
  createdAt: Time,
  startedAt: Nullable(Time),
  finishedAt: Nullable(Time)
})
export type JobView = Static<typeof JobView>

export const JobDiff = Type.Object({
  base: Nullable(Type.String()),
  head: Nullable(Type.String()),
  files: Type.Array(
    Type.Object({
      path: Type.String(),
      status: FileStatus,
      additions: Type.Integer(),
      deletions: Type.Integer(),
      binary: Type.Boolean(),
      patch: Type.String({ description: 'empty when it was left out (`truncated`)' }),
      encoding: Type.Enum(['utf-8', 'base64'], {
        description: '`base64`: the bytes of the patch are no UTF-8'
      }),
      truncated: Type.Boolean({ description: 'the patch was left out, because of its size' }),
      pathEncoding: Type.Optional(
        Type.Literal('percent', {
          description: 'the name is no UTF-8: `path` shows its other bytes as `%XX`'
        })
      )
    })
  ),
  truncated: Type.Boolean({ description: 'files or patches were left out' })
})
export type JobDiff = Static<typeof JobDiff>

/** Which work a merge or discard is about, besides the job's own. */
export const ReviewBody = Type.Object(
  {
    include: Type.Optional(
      Type.Literal('all', {
        description:
          'merge: also the work that this work stands on. discard: also the work that stands on this work'
      })
    ),
    resolutions: Type.Optional(
      Type.Array(
        Type.Object(
          {
            path: Type.String({ minLength: 1, maxLength: LIMITS.pathBytesMax }),
            content: Nullable(Type.String({ description: 'null: no file' })),
            encoding: Type.Optional(Type.Enum(['utf-8', 'base64']))
          },
          OnlyThese
        ),
        {
          maxItems: LIMITS.filesPerCreateMax,
          description: 'merge and revert: what each path with a conflict is to have'
        }
      )
    )
  },
  OnlyThese
)

export interface ReviewOptions {
  readonly dryRun?: boolean | undefined
  readonly include?: 'all' | undefined
  readonly resolutions?: readonly Resolution[] | undefined
}

/** The result of merge, discard and revert, or with `dryRun` what it would be. */
export const ReviewResult = Type.Object({
  jobId: Type.String(),
  merge: MergeState,
  commit: Nullable(Type.String()),
  dryRun: Type.Boolean(),
  jobs: Type.Array(
    Type.Object({
      jobId: Type.String(),
      merge: MergeState
    }),
    {
      description:
        'every job whose work is affected, oldest first. `held`: its commit was replayed without what was discarded'
    }
  )
})
export type ReviewResult = Static<typeof ReviewResult>

/** What the checks of a workspace have found, in their order. After a failed one the others were not tried. */
export const RepairResult = Type.Object({
  checks: Type.Array(
    Type.Object({
      name: Type.String({
        description:
          '`folders`, `refs`, `checkout`, `worktree`, `index`, `objects`, …; more may come'
      }),
      result: Type.Enum(['ok', 'repaired', 'failed']),
      detail: Type.Optional(Type.String({ description: 'what was wrong' }))
    })
  )
})
export type RepairResult = Static<typeof RepairResult>

export const PermissionAnswer = Type.Object(
  {
    reply: Type.Enum(['once', 'always', 'reject']),
    message: Type.Optional(Type.String({ maxLength: 10_000 }))
  },
  OnlyThese
)
export type PermissionAnswer = Static<typeof PermissionAnswer>

export const QuestionAnswer = Type.Union([
  Type.Object(
    {
      answers: Type.Array(Type.Array(Type.String({ maxLength: 10_000 }), { maxItems: 50 }), {
        minItems: 1,
        maxItems: 50
      })
    },
    OnlyThese
  ),
  Type.Object({ reject: Type.Literal(true) }, OnlyThese)
])
export type QuestionAnswer = Static<typeof QuestionAnswer>

export const SessionView = Type.Object({
  id: Type.String(),
  projectId: Type.String(),
  title: Type.String(),
  createdAt: Time,
  lastUsedAt: Time
})
export type SessionView = Static<typeof SessionView>

/** One message of a conversation: a prompt, or the agent's answer to it. */
export const MessageView = Type.Object({
  jobId: Type.String(),
  role: Type.Enum(['user', 'assistant']),
  text: Type.String(),
  createdAt: Time
})
export type MessageView = Static<typeof MessageView>
