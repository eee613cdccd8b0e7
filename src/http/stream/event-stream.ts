import { once } from 'node:events'
import { PassThrough } from 'node:stream'
import type { FastifyReply } from 'fastify'
import type { Feed } from '#events'
import { isTerminalFrame, TERMINAL_FRAMES, type Frame } from '#kernel/frames.ts'
import type { JobId, ProjectId } from '#kernel/ids.ts'
import type { AppDeps } from '../app-deps.ts'
import { startAfterGap, startOf, type Resync, type Start } from './resume.ts'
import { notice } from './notices.ts'
import { timingsOf } from '../app-deps.ts'

interface Wanted {
  readonly projectId: ProjectId
  readonly jobId?: JobId
  /** The job has ended: nothing more will be written of it. */
  readonly isOver?: boolean
  readonly after: number | undefined
  readonly types: readonly string[] | undefined
}

const RECONNECT_MS = 1000
const LAST_BYTES_MS = 5000

/**
 * Frames as server-sent events, as fast as the reader takes them, until it leaves or we stop. A job's stream ends
 * after the job's last frame; a reader who comes back after that is told with 204 not to come again.
 */
export async function streamEvents(
  deps: Pick<AppDeps, 'feed' | 'signal' | 'timings'>,
  reply: FastifyReply,
  wanted: Wanted
) {
  const start = await startOfStream(deps.feed, wanted)
  const isOver = await hasNothingAfter(deps.feed, wanted, start.after)
  if (isOver && start.kind === 'resume') return reply.code(204).send()

  const gone = new AbortController()
  const out = new PassThrough()
  out.once('close', () => gone.abort())
  const signal = AbortSignal.any([gone.signal, deps.signal])
  const heartbeat = setInterval(() => {
    if (!out.writableNeedDrain) out.write(': heartbeat\n\n')
  }, timingsOf(deps.timings).heartbeatMs)

  out.write(`retry: ${RECONNECT_MS}\n\n`)
  writeFrames({ feed: deps.feed, out, wanted, signal }, start, isOver)
    .catch((err: unknown) => {
      if (!signal.aborted) reply.log.error({ err }, 'event stream failed')
    })
    .finally(() => {
      clearInterval(heartbeat)
      out.end()
      // Whoever does not take the rest by then keeps the server from stopping.
      setTimeout(() => out.destroy(), LAST_BYTES_MS).unref()
    })

  return reply
    .header('cache-control', 'no-store')
    .header('x-accel-buffering', 'no')
    .type('text/event-stream; charset=utf-8')
    .send(out)
}

/** Like a JSON page of the same address: from the oldest frame there is, unless a place is given. */
async function startOfStream(feed: Feed, { projectId, after }: Wanted): Promise<Start> {
  if (after !== undefined) return startOf(feed, projectId, after)
  const { lastSeq, oldestSeq } = await feed.reach(projectId)
  return { kind: 'resume', lastSeq, after: oldestSeq - 1 }
}

/** A job whose last frame was read, or is not in history any more, will say nothing more. */
async function hasNothingAfter(feed: Feed, { projectId, jobId, isOver }: Wanted, after: number) {
  if (!jobId) return false
  const [end] = await feed.page(projectId, { jobId, after: 0, types: TERMINAL_FRAMES, limit: 1 })
  return end ? end.seq <= after : isOver === true
}

interface Writing {
  readonly feed: Feed
  readonly out: PassThrough
  readonly wanted: Wanted
  readonly signal: AbortSignal
}

/** From a place on, until there is nothing more to come; anew from the present each time that history was removed. */
async function writeFrames(writing: Writing, start: Start, isOver: boolean): Promise<void> {
  const { feed, out, wanted, signal } = writing
  const { projectId, jobId, types } = wanted
  if (start.kind === 'resync') out.write(resync(projectId, start))
  if (isOver) return

  const page = { jobId, after: start.after, types: withTerminalTypes(types) }
  for await (const frame of feed.follow(projectId, page, signal)) {
    const asked = !types || types.includes(frame.type)
    if (asked && !out.write(toText(frame))) await once(out, 'drain', { signal })
    if (jobId && isTerminalFrame(frame)) return
  }
  if (signal.aborted) return
  const anew = await startAfterGap(feed, projectId)
  return writeFrames(writing, anew, await hasNothingAfter(feed, wanted, anew.after))
}

/** A job's end is always read, so that the stream can end with it. */
const withTerminalTypes = (types: readonly string[] | undefined) =>
  types && [...new Set([...types, ...TERMINAL_FRAMES])]

const toText = (frame: Frame) =>
  `id: ${frame.seq}\nevent: ${frame.type}\ndata: ${JSON.stringify(frame)}\n\n`

/** Its id is the place from which it goes on, so that a reader who comes back is not told again. */
function resync(projectId: ProjectId, { oldestSeq, lastSeq }: Resync): string {
  const message = notice('resync', { oldestSeq, lastSeq }, projectId)
  return `id: ${lastSeq}\nevent: resync\ndata: ${JSON.stringify(message)}\n\n`
}
