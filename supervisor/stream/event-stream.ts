import { Agent, request, type Dispatcher } from 'undici'
import { createConnection, type Body, type ConnectionOptions } from './connection.ts'

/*
 * Follows Kilo's event stream across disconnects, for as long as that Kilo lives.
 *
 *   connecting ──→ settling ──→ live ──→ gap ──→ catching-up ──→ live
 *       ↑              └─ reconnected ─────────────↗
 *       └────────────── gap (the connection ended or failed)
 *   any ──→ dead
 *
 *   connecting   The request for /global/event has no response yet.
 *   settling     The response has arrived; the stream waits for its first message and then for another 250 ms.
 *   live         Every frame is delivered as it arrives.
 *   gap          Frames may be missing: the connection failed, a number of a session is missing, or a message was not
 *                readable. Frames of a connection that still stands are delivered in the meantime.
 *   catching-up  The listeners read the missed events from Kilo's history. The connection collects new messages
 *                meanwhile and delivers none.
 *   dead         Kilo exited or does not respond, or the stream was disposed. Final.
 *
 * Invariants (the table in connection-states.ts allows no other step):
 *   - an event is delivered at most once; the sequence tracker drops duplicates
 *   - events of a session are delivered in order: what was missed is read before newer messages are delivered
 *   - `onGapOpened` is called on each step into `gap`, before any frame that follows the gap
 *   - only a successful catch-up closes a gap; when one fails, the connection is destroyed and opened again
 *
 * What can go wrong:
 *   - Silence. Kilo sends a heartbeat every 10 s, so a body that is silent for `silenceMs` is a dead connection.
 *   - Kilo responds and its event stream does not: after `renewMs` without a live connection it counts as dead.
 *   - Kilo does not respond to a health request after a disconnect: it counts as dead immediately.
 *   - Garbage without end: the missed events are read at most once per second.
 *
 * Why settling: Kilo drops events that it emits within about 5 ms of `server.connected` (measured). A prompt that is
 * sent, or a history that is read, after 250 ms misses none of them.
 */

export interface EventStreamOptions extends ConnectionOptions {
  readonly url: string
  readonly authorization: string
  /** Opens the connections to Kilo; the default reaches it by its address. */
  readonly dispatcher?: (options: { readonly bodyTimeout: number }) => Dispatcher
  /** How long the first connection may take. */
  readonly openMs: number
  /** How long the connection may be silent. */
  readonly silenceMs: number
  /** How long the stream may be down while Kilo still responds to requests. */
  readonly renewMs: number
  readonly isHealthy: () => Promise<boolean>
  /** Kilo does not respond any more, or does not send events. */
  readonly onDead: () => void
}

export interface EventStream extends Disposable {
  /** The first connection has settled: every later event is delivered. Rejects when that connection fails. */
  readonly opened: Promise<void>
}

const HEADERS_MS = 10_000
const BACKOFF_MS = 100
const BACKOFF_MS_MAX = 1000

export function followEvents(options: EventStreamOptions): EventStream {
  const { clock } = options
  const disposed = new AbortController()
  const { signal } = disposed
  const opened = Promise.withResolvers<void>()
  const makeDispatcher = options.dispatcher ?? ((given) => new Agent(given))
  const dispatcher = makeDispatcher({ bodyTimeout: options.silenceMs })
  let failedAttempts = 0
  let downSinceMs: number | undefined

  const connection = createConnection({
    ...options,
    signal,
    onLive() {
      downSinceMs = undefined
      opened.resolve()
    },
    onEvent() {
      failedAttempts = 0
    }
  })

  const readOnce = async () => {
    await connection.read(
      await openBody(options, {
        dispatcher,
        signal,
        headersTimeout: connection.hasOpened ? HEADERS_MS : options.openMs
      })
    )
    throw new Error('the event stream ended')
  }

  /** Whether Kilo counts as dead after the connection has failed. */
  const isDead = async () => {
    downSinceMs ??= clock.monotonicMs()
    return clock.monotonicMs() - downSinceMs > options.renewMs || !(await options.isHealthy())
  }

  const run = async () => {
    for (;;) {
      const failure = await readOnce().catch((error: unknown) => error)
      if (signal.aborted) return
      if (!connection.hasOpened) return opened.reject(failure)

      connection.openGap()
      failedAttempts += 1
      if (await isDead()) return options.onDead()
      await clock.sleep(backoffMs(failedAttempts), signal)
      connection.become('connecting')
    }
  }

  void run()
    // Only a disposed stream may end without a report.
    .catch(() => signal.aborted || options.onDead())
    .finally(() => {
      connection.become('dead')
      void dispatcher.destroy()
    })
  // A start that was abandoned does not await it any more.
  opened.promise.catch(() => {})
  return { opened: opened.promise, [Symbol.dispose]: () => disposed.abort() }
}

/** The first retry is immediate; later ones wait longer, for Kilo may be busy. */
const backoffMs = (failedAttempts: number) =>
  failedAttempts > 1 ? Math.min(BACKOFF_MS * 2 ** (failedAttempts - 2), BACKOFF_MS_MAX) : 0

async function openBody(
  { url, authorization }: Pick<EventStreamOptions, 'url' | 'authorization'>,
  how: {
    readonly dispatcher: Dispatcher
    readonly signal: AbortSignal
    readonly headersTimeout: number
  }
): Promise<Body> {
  const { statusCode, body } = await request(`${url}/global/event`, {
    ...how,
    headers: { authorization }
  })
  if (statusCode === 200) return body
  body.dump().catch(() => {})
  throw new Error(`GET /global/event: expected status 200, got ${statusCode}`)
}
