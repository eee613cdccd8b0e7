import { once } from 'node:events'
import { PassThrough } from 'node:stream'
import type { FastifyReply } from 'fastify'
import { PROTOCOL_VERSION, TERMINAL_FRAMES, type Frame } from '#kernel/frames.ts'
import type { JobId, ProjectId } from '#kernel/ids.ts'
import type { AppDeps } from '../app-deps.ts'
import { startOf } from './cursor.ts'
import { timingsOf } from './timings.ts'

interface Wanted {
  readonly projectId: ProjectId
  readonly jobId?: JobId
  readonly after: number | undefined
  readonly types: readonly string[] | undefined
}

const RECONNECT_MS = 1000
const LAST_BYTES_MS = 5000
const isTerminal = ({ type }: Frame) => (TERMINAL_FRAMES as readonly string[]).includes(type)

/**
 * Frames as server-sent events, as fast as the reader takes them, until it leaves or we stop. A job's stream ends
 * after the job's last frame; a reader who comes back after that is told with 204 not to come again.
 */
export async function streamEvents(
  deps: Pick<AppDeps, 'feed' | 'signal' | 'timings'>,
  reply: FastifyReply,
  wanted: Wanted
) {
  const { lastSeq, after, resyncFrom } = await start(deps, wanted)
  if (wanted.jobId && (await isOver(deps, wanted, after))) return reply.code(204).send()

  const gone = new AbortController()
  const out = new PassThrough()
  out.once('close', () => gone.abort())
  const signal = AbortSignal.any([gone.signal, deps.signal])
  const heartbeat = setInterval(() => {
    if (!out.writableNeedDrain) out.write(': heartbeat\n\n')
  }, timingsOf(deps.timings).heartbeatMs)

  out.write(`retry: ${RECONNECT_MS}\n\n`)
  if (resyncFrom !== null) out.write(resync(wanted.projectId, resyncFrom, lastSeq))
  pour(deps, out, { ...wanted, after }, signal)
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

/** Like a JSON page of the same address: from the beginning, unless a place is given. */
const start = async ({ feed }: Pick<AppDeps, 'feed'>, { projectId, after }: Wanted) =>
  after === undefined ? { lastSeq: 0, after: 0, resyncFrom: null } : startOf(feed, projectId, after)

async function isOver(
  { feed }: Pick<AppDeps, 'feed'>,
  { projectId, jobId }: Wanted,
  after: number
) {
  const [end] = await feed.page(projectId, { jobId, after: 0, types: TERMINAL_FRAMES, limit: 1 })
  return end !== undefined && end.seq <= after
}

async function pour(
  { feed }: Pick<AppDeps, 'feed'>,
  out: PassThrough,
  { projectId, jobId, after, types }: Wanted & { after: number },
  signal: AbortSignal
): Promise<void> {
  for await (const frame of feed.follow(projectId, { jobId, after, types: forUs(types) }, signal)) {
    const asked = !types || types.includes(frame.type)
    if (asked && !out.write(toText(frame))) await once(out, 'drain', { signal })
    if (jobId && isTerminal(frame)) return
  }
}

/** A job's end is always read, so that the stream can end with it. */
const forUs = (types: readonly string[] | undefined) =>
  types && [...new Set([...types, ...TERMINAL_FRAMES])]

const toText = (frame: Frame) =>
  `id: ${frame.seq}\nevent: ${frame.type}\ndata: ${JSON.stringify(frame)}\n\n`

function resync(projectId: ProjectId, oldestSeq: number, lastSeq: number): string {
  const message = { v: PROTOCOL_VERSION, type: 'resync', projectId, data: { oldestSeq, lastSeq } }
  return `event: resync\ndata: ${JSON.stringify(message)}\n\n`
}
