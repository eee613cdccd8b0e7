import { Agent, request } from 'undici'
import { isFrame, type KiloPayload } from './kilo-schemas.ts'
import { readSse } from './sse-stream.ts'

export interface EventStreamOptions {
  readonly url: string
  readonly authorization: string
  /** Kilo says something every ten seconds; a stream that is silent for this long is dead. */
  readonly silenceMs: number
  /** Whether Kilo still answers. */
  readonly isHealthy: () => Promise<boolean>
  readonly onFrame: (payload: KiloPayload) => void
  /** Frames may be lost from here on, until `onBack`. */
  readonly onTorn: () => void
  readonly onBack: () => Promise<void>
  /** Kilo does not answer any more, or not with events. */
  readonly onDead: () => void
}

export interface EventStream extends Disposable {
  /** The first connection stands: whatever Kilo says from now on is heard. */
  readonly opened: Promise<void>
}

const FRUITLESS_MAX = 5
const PAUSE_MS = 100
const HEADERS_MS = 10_000

/** Listens to one Kilo for as long as it lives: one connection, renewed when it ends or falls silent. */
export function followEvents(options: EventStreamOptions): EventStream {
  const gone = new AbortController()
  const opened = Promise.withResolvers<void>()
  const dispatcher = new Agent({ headersTimeout: HEADERS_MS, bodyTimeout: options.silenceMs })
  let connections = 0
  let fruitless = 0

  const listen = async () => {
    const { authorization } = options
    const { statusCode, body } = await request(`${options.url}/global/event`, {
      dispatcher,
      signal: gone.signal,
      headers: { authorization }
    })
    if (statusCode !== 200) throw new Error(`the event stream answered ${statusCode}`)
    if (connections++ === 0) opened.resolve()
    else await backWhile(body)

    for await (const data of readSse(body)) {
      fruitless = 0
      const frame: unknown = JSON.parse(data)
      if (isFrame(frame)) options.onFrame(frame.payload)
    }
  }

  /** What was missed is asked for while the new connection is already collecting. */
  const backWhile = (body: { destroy(error: Error): unknown }) =>
    options.onBack().catch((error: unknown) => {
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

      options.onTorn()
      fruitless += 1
      if (fruitless > FRUITLESS_MAX || !(await options.isHealthy())) return options.onDead()
      await new Promise((resolve) => setTimeout(resolve, fruitless > 1 ? PAUSE_MS : 0))
    }
  }

  void follow().finally(() => void dispatcher.destroy())
  // Nobody may be waiting any more when a start is given up.
  opened.promise.catch(() => {})
  return { opened: opened.promise, [Symbol.dispose]: () => gone.abort() }
}
