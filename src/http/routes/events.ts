import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type, type Static } from 'typebox'
import { AppError } from '#kernel/errors.ts'
import { FRAME_DATA, Frame } from '#kernel/frames.ts'
import { jobId, projectId, type JobId, type ProjectId } from '#kernel/ids.ts'
import { LIMITS } from '#kernel/limits.ts'
import { Nullable } from '#kernel/schema-kit.ts'
import { ownProject } from '#projects'
import { accepts, varyByAccept } from '../accept.ts'
import type { App } from '../app-deps.ts'
import type { RouteDeps } from '../route-deps.ts'
import { userOf } from '../plugins/auth.ts'
import { IdParams, refusals } from '../schemas.ts'
import { streamEvents } from '../stream/event-stream.ts'

const SEQ = { minimum: 0, maximum: Number.MAX_SAFE_INTEGER }
const EventsQuery = Type.Object({
  after: Type.Optional(Type.Integer({ ...SEQ, description: 'only frames with a larger `seq`' })),
  cursor: Type.Optional(Type.Integer({ ...SEQ, description: 'alias of `after`' })),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: LIMITS.framesPerPage })),
  types: Type.Optional(
    Type.String({ maxLength: 1000, description: 'frame types, separated by commas' })
  )
})
type EventsQuery = Static<typeof EventsQuery>

const PageOfFrames = Type.Object(
  {
    items: Type.Array(Frame),
    nextCursor: Nullable(Type.String()),
    oldestSeq: Type.Integer({
      description:
        'the oldest frame that is still kept; larger than `after` + 1: some frames are missing'
    }),
    lastSeq: Type.Integer({ description: 'the last `seq` of the project' })
  },
  { description: 'A page of frames, oldest first' }
)

const options = (summary: string) => ({
  // A HEAD request to a stream would never end.
  exposeHeadRoute: false,
  schema: {
    tags: ['events'],
    summary: `${summary}, as JSON or (\`Accept: text/event-stream\`) as server-sent events`,
    params: IdParams,
    querystring: EventsQuery,
    headers: Type.Object({ 'last-event-id': Type.Optional(Type.String({ maxLength: 20 })) }),
    response: { 200: PageOfFrames, ...refusals }
  }
})

/** History over HTTP: the same frames as on the socket, as JSON pages or as server-sent events. */
export function eventRoutes(app: App, deps: RouteDeps): void {
  app.get('/projects/:id/events', options('Frames of a project'), async (request, reply) => {
    const { id } = await ownProject(deps.db, userOf(request), request.params.id)
    return answer(deps, request, reply, { projectId: id })
  })

  app.get('/jobs/:id/events', options('Frames of a job'), async (request, reply) => {
    const job = await deps.jobs.find(userOf(request), request.params.id)
    const of = {
      projectId: projectId.parse(job.projectId)!,
      jobId: jobId.parse(job.id)!,
      isOver: job.finishedAt !== null
    }
    return answer(deps, request, reply, of)
  })
}

async function answer(
  deps: RouteDeps,
  request: FastifyRequest<{ Querystring: EventsQuery }>,
  reply: FastifyReply,
  of: { projectId: ProjectId; jobId?: JobId; isOver?: boolean }
) {
  const { query, headers } = request
  if (query.after !== undefined && query.cursor !== undefined) {
    throw new AppError('invalid_request', '`cursor` is an alias of `after`: give one of them')
  }
  const types = readTypes(query.types)
  varyByAccept(reply)

  if (accepts(request, 'text/event-stream')) {
    const after = readLastEventId(headers['last-event-id']) ?? query.after ?? query.cursor
    return streamEvents(deps, request, reply, { ...of, after, types })
  }
  const limit = query.limit ?? LIMITS.pageItemsDefault
  const after = query.after ?? query.cursor ?? 0
  const items = await deps.feed.page(of.projectId, { jobId: of.jobId, after, types, limit })
  // Read after the page: history that was removed in between is reported as missing, never as present.
  const reach = await deps.feed.reach(of.projectId)
  const last = items.at(-1)
  return { items, nextCursor: last && items.length === limit ? String(last.seq) : null, ...reach }
}

function readTypes(text: string | undefined): string[] | undefined {
  if (text === undefined) return undefined
  const types = text.split(',').map((type) => type.trim())
  const unknown = types.find((type) => !Object.hasOwn(FRAME_DATA, type))
  if (unknown === undefined) return types
  const known = Object.keys(FRAME_DATA)
  throw new AppError('invalid_request', `Unknown frame type '${unknown}'`, { known })
}

function readLastEventId(header: unknown): number | undefined {
  if (typeof header !== 'string' || header === '') return undefined
  const seq = /^\d{1,16}$/.test(header) ? Number(header) : NaN
  if (Number.isSafeInteger(seq)) return seq
  throw new AppError('invalid_request', 'Last-Event-ID must be the `seq` of a frame')
}
