import type { Clock } from '#kernel/clock.ts'
import { follow } from '#kernel/transitions.ts'
import { within } from '#kernel/waiting.ts'
import type { KiloPayload } from '../kilo/schemas.ts'
import { CONNECTION_STATES, type ConnectionState } from './connection-states.ts'
import { readSse } from './read-sse.ts'
import type { SequenceTracker } from './sequence.ts'

export interface ConnectionOptions {
  readonly clock: Clock
  readonly sequence: SequenceTracker
  readonly onFrame: (payload: KiloPayload) => void
  /** A message was not readable, or one is missing. */
  readonly onLoss: (why: 'garbage' | 'gap') => void
  /** Frames may be missing from here on, until `onCatchUp` has resolved. */
  readonly onGapOpened: () => void
  readonly onReconnected: () => void
  /** Reads the missed events. When it fails, the stream is opened again. */
  readonly onCatchUp: () => Promise<void>
  readonly onState?: (state: ConnectionState) => void
}

export type Body = AsyncIterable<Uint8Array> & { destroy(error?: Error): unknown }

/** The connection to one Kilo, in the state that `event-stream.ts` describes. */
export interface Connection {
  readonly state: ConnectionState
  /** The first connection has settled. */
  readonly hasOpened: boolean
  become(next: ConnectionState): void
  /** Reports a gap, unless one is open. */
  openGap(): void
  /** Delivers the messages of a response until it ends. Destroys the body in any case. */
  read(body: Body): Promise<void>
}

/** Measured: Kilo may drop events that it emits within 5 ms of the first message of a stream. */
const SETTLE_MS = 250
/** A stream of nothing but garbage must not keep Kilo busy with history requests. */
const CATCH_UP_EVERY_MS = 1000

export function createConnection(
  options: ConnectionOptions & {
    readonly signal: AbortSignal
    readonly onLive: () => void
    /** Kilo sent an event other than its greeting. */
    readonly onEvent: () => void
  }
): Connection {
  const { clock, sequence, signal } = options
  let state: ConnectionState = 'connecting'
  let hasOpened = false

  const become = (next: ConnectionState) => {
    state = follow(CONNECTION_STATES, state, next)
    options.onState?.(state)
    if (state === 'live') options.onLive()
  }

  const openGap = () => {
    if (state === 'gap') return
    become('gap')
    options.onGapOpened()
  }

  const catchUp = async () => {
    become('catching-up')
    await options.onCatchUp()
    sequence.closeGaps()
    become('live')
  }

  const settle = async () => {
    await clock.sleep(SETTLE_MS, signal)
    if (hasOpened) {
      options.onReconnected()
      return catchUp()
    }
    hasOpened = true
    become('live')
  }

  const handle = (data: string) => {
    const message = sequence.track(data)
    if (message.kind === 'event') {
      if (message.payload.type !== 'server.connected') options.onEvent()
      options.onFrame(message.payload)
    } else if (message.kind === 'loss') {
      options.onLoss(message.why)
      openGap()
    }
  }

  const readMessages = async (body: Body) => {
    const messages = readSse(body)
    let next = nextOf(messages)
    let catchUpAtMs = -Infinity
    for (;;) {
      const waitMs = catchUpAtMs - clock.monotonicMs()
      const hasGap = state === 'gap'
      if (hasGap && waitMs <= 0) {
        await catchUp()
        catchUpAtMs = clock.monotonicMs() + CATCH_UP_EVERY_MS
        continue
      }
      const message = await (hasGap ? within(next, waitMs, clock) : next)
      if (message === undefined) continue
      if (message.done) return
      if (state === 'settling') await settle()
      handle(message.value)
      next = nextOf(messages)
    }
  }

  return {
    get state() {
      return state
    },
    get hasOpened() {
      return hasOpened
    },
    become,
    openGap,
    async read(body) {
      become('settling')
      await readMessages(body).finally(() => body.destroy())
    }
  }
}

function nextOf(messages: AsyncGenerator<string>) {
  const next = messages.next()
  // The stream may break before anything awaits this promise; a later await receives the error.
  next.catch(() => {})
  return next
}
