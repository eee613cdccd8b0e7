import { setTimeout as sleep } from 'node:timers/promises'
import { Agent, request } from 'undici'
import { within } from '#kernel/waiting.ts'
import type { SequenceTracker } from './sequence.ts'
import type { KiloPayload } from '../kilo/schemas.ts'
import { readSse } from './read-sse.ts'

export interface EventStreamOptions {
  readonly url: string
  readonly authorization: string
  readonly sequence: SequenceTracker
  /** Kilo says something every ten seconds; a stream that is silent for this long is dead. */
  readonly silenceMs: number
  /** How long it may stay down while Kilo otherwise answers. */
  readonly renewMs: number
  /** Whether Kilo still answers. */
  readonly isHealthy: () => Promise<boolean>
  readonly onFrame: (payload: KiloPayload) => void
  /** A message could not be read, or one is missing. */
  readonly onLoss: (why: 'garbage' | 'gap') => void
  /** Frames may be lost from here on, until `onCatchUp`. */
  readonly onGapOpened: () => void
  readonly onReconnected: () => void
  /** Reads what was missed. When it fails, the stream is begun anew. */
  readonly onCatchUp: () => Promise<void>
  /** Kilo does not answer any more, or not with events. */
  readonly onDead: () => void
}

export interface EventStream extends Disposable {
  /** The first connection stands: whatever Kilo says from now on is heard. */
  readonly opened: Promise<void>
}

const PAUSE_MS = 100
const PAUSE_MS_MAX = 1000
const HEADERS_MS = 10_000
/** Measured: what Kilo says within 5 ms of its first message may be told to nobody. */
const SETTLE_MS = 250
/** A stream of nothing but garbage must not keep Kilo busy with our questions. */
const ASK_AGAIN_MS = 1000

type Body = AsyncIterable<Uint8Array> & { destroy(error?: Error): unknown }

/**
 * Listens to one Kilo for as long as it lives: one connection, renewed when it ends or falls silent. What was missed is
 * asked for while the connection is already collecting, and so is what a gap in it, or garbage, may have been.
 */
export function followEvents(options: EventStreamOptions): EventStream {
  const { sequence } = options
  const gone = new AbortController()
  const opened = Promise.withResolvers<void>()
  const dispatcher = new Agent({ headersTimeout: HEADERS_MS, bodyTimeout: options.silenceMs })
  let connections = 0
  let failedAttempts = 0
  let isSettled = false
  let brokenAtMs = 0

  const connect = async (): Promise<Body> => {
    const { statusCode, body } = await request(`${options.url}/global/event`, {
      dispatcher,
      signal: gone.signal,
      headers: { authorization: options.authorization }
    })
    if (statusCode === 200) return body
    body.dump().catch(() => {})
    throw new Error(`the event stream answered ${statusCode}`)
  }

  const listen = async () => {
    isSettled = false
    const body = await connect()
    const messages = readSse(body)
    let lost = false
    let askedAtMs = -Infinity

    const take = async (data: string) => {
      if (!isSettled) await settle(body)
      const heard = sequence.hear(data)
      if (heard.kind === 'event') {
        if (heard.payload.type !== 'server.connected') failedAttempts = 0
        options.onFrame(heard.payload)
      } else if (heard.kind === 'loss') {
        lost = true
        options.onLoss(heard.why)
        options.onGapOpened()
      }
    }

    try {
      for (let next = nextOf(messages); ;) {
        const askInMs = askedAtMs + ASK_AGAIN_MS - performance.now()
        if (lost && askInMs <= 0) {
          lost = false
          await catchUpOrDestroy(body)
          askedAtMs = performance.now()
          continue
        }
        const message = await (lost ? within(next, askInMs) : next)
        if (message === undefined) continue
        if (message.done) return
        await take(message.value)
        next = nextOf(messages)
      }
    } finally {
      body.destroy()
    }
  }

  const settle = async (body: Body) => {
    await sleep(SETTLE_MS, undefined, { signal: gone.signal })
    if (connections++ === 0) {
      opened.resolve()
    } else {
      options.onReconnected()
      await catchUpOrDestroy(body)
    }
    isSettled = true
  }

  const catchUpOrDestroy = (body: Body) =>
    options.onCatchUp().then(sequence.closeGaps, (error: unknown) => {
      body.destroy(new Error('could not catch up', { cause: error }))
      throw error
    })

  const follow = async () => {
    while (!gone.signal.aborted) {
      const failure = await listen().then(
        () => new Error('the event stream ended'),
        (error: unknown) => error
      )
      if (gone.signal.aborted) return
      if (connections === 0) return opened.reject(failure)

      options.onGapOpened()
      failedAttempts += 1
      if (isSettled) brokenAtMs = performance.now()
      const isLate = performance.now() - brokenAtMs > options.renewMs
      if (isLate || !(await options.isHealthy())) return options.onDead()
      // The first time at once; then longer and longer, for Kilo may be busy.
      await sleep(
        failedAttempts > 1 ? Math.min(PAUSE_MS * 2 ** (failedAttempts - 2), PAUSE_MS_MAX) : 0
      )
    }
  }

  void follow().finally(() => void dispatcher.destroy())
  // Nobody may be waiting any more when a start is given up.
  opened.promise.catch(() => {})
  return { opened: opened.promise, [Symbol.dispose]: () => gone.abort() }
}

function nextOf(messages: AsyncGenerator<string>) {
  const next = messages.next()
  // It may break while nobody waits for it; whoever does later learns of it.
  next.catch(() => {})
  return next
}
