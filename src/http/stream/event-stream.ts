import { once } from 'node:events'
import { PassThrough } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Feed } from '#events'
import { isTerminalFrame, TERMINAL_FRAMES, type Frame } from '#kernel/frames.ts'
import type { JobId, ProjectId } from '#kernel/ids.ts'
import type { RouteDeps } from '../route-deps.ts'
import { startAfterGap, startOf, type Resync, type Start } from './resume.ts'
import { notice } from './notices.ts'
import { timingsOf } from '../app-deps.ts'

interface StreamRequest {
  readonly projectId: ProjectId
  readonly jobId?: JobId
  /** The job has ended: no more frames will be written. */
  readonly isOver?: boolean
  readonly after: number | undefined
  readonly types: readonly string[] | undefined
}

const RECONNECT_MS = 1000
const LAST_BYTES_MS = 5000

/**
 * Sends frames as server-sent events with backpressure, until the client disconnects or the server shuts down. A job's
 * stream ends after the job's last frame; a client that reconnects after it gets 204, which ends its reconnecting.
 */
export async function streamEvents(
  deps: Pick<RouteDeps, 'feed' | 'signal' | 'timings' | 'connections'>,
  http: FastifyRequest,
  reply: FastifyReply,
  request: StreamRequest
) {
  const start = await startOfStream(deps.feed, request)
  const isOver = await hasNothingAfter(deps.feed, request, start.after)
  if (isOver && start.kind === 'resume') return reply.code(204).send()

  const connection = deps.connections.admit(http)
  const disconnected = new AbortController()
  const out = new PassThrough()
  out.once('close', () => {
    connection[Symbol.dispose]()
    disconnected.abort()
  })
  const signal = AbortSignal.any([disconnected.signal, deps.signal, connection.keyEnded])
  const heartbeat = setInterval(() => {
    if (!out.writableNeedDrain) out.write(': heartbeat\n\n')
  }, timingsOf(deps.timings).heartbeatMs)

  out.write(`retry: ${RECONNECT_MS}\n\n`)
  writeFrames({ feed: deps.feed, out, request, signal }, start, isOver)
    .catch((err: unknown) => {
      if (!signal.aborted) reply.log.error({ err }, 'event stream failed')
    })
    .finally(() => {
      clearInterval(heartbeat)
      out.end()
      // A client that does not read the rest must not delay the shutdown.
      setTimeout(() => out.destroy(), LAST_BYTES_MS).unref()
    })

  return reply
    .header('cache-control', 'no-store')
    .header('x-accel-buffering', 'no')
    .type('text/event-stream; charset=utf-8')
    .send(out)
}

/** Without a cursor the stream begins with the oldest frame, like the JSON page of the same path. */
async function startOfStream(feed: Feed, { projectId, after }: StreamRequest): Promise<Start> {
  if (after !== undefined) return startOf(feed, projectId, after)
  const { lastSeq, oldestSeq } = await feed.reach(projectId)
  return { kind: 'resume', lastSeq, after: oldestSeq - 1 }
}

/** Whether the job's last frame was read already, or was removed from history. */
async function hasNothingAfter(
  feed: Feed,
  { projectId, jobId, isOver }: StreamRequest,
  after: number
) {
  if (!jobId) return false
  const [end] = await feed.page(projectId, { jobId, after: 0, types: TERMINAL_FRAMES, limit: 1 })
  return end ? end.seq <= after : isOver === true
}

interface Writing {
  readonly feed: Feed
  readonly out: PassThrough
  readonly request: StreamRequest
  readonly signal: AbortSignal
}

/** Writes frames after the start until the job ends. After removed history it sends `resync` and continues live. */
async function writeFrames(writing: Writing, start: Start, isOver: boolean): Promise<void> {
  const { feed, out, request, signal } = writing
  const { projectId, jobId, types } = request
  if (start.kind === 'resync') out.write(resync(projectId, start))
  if (isOver) return

  const page = { jobId, after: start.after, types: withTerminalTypes(types) }
  for await (const frame of feed.follow(projectId, page, signal)) {
    const isSelected = !types || types.includes(frame.type)
    if (isSelected && !out.write(toText(frame))) await once(out, 'drain', { signal })
    if (jobId && isTerminalFrame(frame)) return
  }
  if (signal.aborted) return
  const restart = await startAfterGap(feed, projectId)
  return writeFrames(writing, restart, await hasNothingAfter(feed, request, restart.after))
}

/** Terminal frames are always read, so that the stream can end with the job. */
const withTerminalTypes = (types: readonly string[] | undefined) =>
  types && [...new Set([...types, ...TERMINAL_FRAMES])]

const toText = (frame: Frame) =>
  `id: ${frame.seq}\nevent: ${frame.type}\ndata: ${JSON.stringify(frame)}\n\n`

/** Its id is the cursor that the stream continues from, so that a client that reconnects gets no second `resync`. */
function resync(projectId: ProjectId, { oldestSeq, lastSeq }: Resync): string {
  const message = notice('resync', { oldestSeq, lastSeq }, projectId)
  return `id: ${lastSeq}\nevent: resync\ndata: ${JSON.stringify(message)}\n\n`
}
