import type { Clock } from '#kernel/clock.ts'
import { createSerialQueue } from '#kernel/waiting.ts'
import { decideProgress, type ProgressFacts } from './progress-policy.ts'

export interface SilenceWatchOptions {
  readonly clock: Clock
  /** Reads the missed events, and resolves with whether the turn's session is idle. */
  readonly catchUp: () => Promise<{ readonly idle: boolean }>
  /** How long a turn may be silent before Kilo is polled. */
  readonly silenceMs: number
  /** How long Kilo may call the turn busy without an event of it, when neither a tool nor a person is awaited. */
  readonly progressMs: number
  readonly awaits: () => Pick<ProgressFacts, 'toolsRunning' | 'promptsOpen'>
  readonly hasBegun: () => boolean
  /** The turn is over, and the event that says so was missed. */
  readonly onOver: () => void
  /** Kilo is silent, and does not respond to requests either. */
  readonly onUnresponsive: () => void
  /** Kilo responds, calls the turn busy, and does nothing. */
  readonly onNoProgress: () => void
}

/** Polls Kilo about a turn that has become silent. */
export interface SilenceWatch extends Disposable {
  /** Reads the missed events now. Rejects when Kilo does not respond. */
  poll(): Promise<void>
  /** The same after a reconnect, whose first events may be lost: polls once more soon afterwards. */
  pollAfterReconnect(): Promise<void>
  /** An event of this turn was received. */
  activity(): void
}

/** A turn may look idle for a moment between two requests of its model, so it is over when two polls find it idle. */
const CONFIRM_MS = 1000
const UNANSWERED_MAX = 2
const AFTER_RECONNECT_MS = 2000

export function createSilenceWatch(options: SilenceWatchOptions): SilenceWatch {
  const { clock, silenceMs } = options
  /** Serial: each poll reads the events since the poll before it. */
  const serial = createSerialQueue()
  const closed = new AbortController()
  let schedule = new AbortController()
  let dueAtMs = 0
  let activeAtMs = clock.monotonicMs()
  let idleSinceMs: number | undefined
  let unanswered = 0
  /** The next poll is due at its time, whatever is received until then. */
  let isFixed = false

  const pollIn = (ms: number) => {
    schedule.abort()
    if (closed.signal.aborted) return
    dueAtMs = clock.monotonicMs() + ms
    schedule = new AbortController()
    void pollWhenDue(schedule.signal)
  }

  const pollWhenDue = async (signal: AbortSignal) => {
    // Each received event moves `dueAtMs` on while this sleeps.
    while (dueAtMs > clock.monotonicMs()) {
      await clock.sleep(dueAtMs - clock.monotonicMs(), signal).catch(() => {})
      if (signal.aborted) return
    }
    await poll().catch(() => {
      unanswered += 1
      if (unanswered >= UNANSWERED_MAX) options.onUnresponsive()
      else pollIn(CONFIRM_MS)
    })
  }

  const pollOnce = async () => {
    isFixed = false
    const { idle } = await options.catchUp()
    if (closed.signal.aborted) return
    unanswered = 0

    const nowMs = clock.monotonicMs()
    idleSinceMs = idle && options.hasBegun() ? (idleSinceMs ?? nowMs) : undefined
    if (idleSinceMs === undefined) return checkProgress(nowMs)
    if (nowMs - idleSinceMs < CONFIRM_MS) return pollIn(CONFIRM_MS)
    options.onOver()
  }

  const checkProgress = (nowMs: number) => {
    const facts = { silentMs: nowMs - activeAtMs, ...options.awaits() }
    const hangs = decideProgress(facts, options.progressMs) === 'stall'
    if (hangs && options.hasBegun()) return options.onNoProgress()
    pollIn(silenceMs)
  }

  const poll = () => serial(pollOnce)

  pollIn(silenceMs)
  return {
    poll,
    async pollAfterReconnect() {
      await poll()
      if (idleSinceMs !== undefined) return
      isFixed = true
      pollIn(Math.min(AFTER_RECONNECT_MS, silenceMs))
    },
    activity() {
      activeAtMs = clock.monotonicMs()
      if (idleSinceMs === undefined && !isFixed) dueAtMs = activeAtMs + silenceMs
    },
    [Symbol.dispose]() {
      closed.abort()
      schedule.abort()
    }
  }
}
