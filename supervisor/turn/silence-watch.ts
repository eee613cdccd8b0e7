export interface SilenceWatchOptions {
  /** Gives what was missed, and answers whether the turn's session does nothing any more. */
  readonly catchUp: () => Promise<{ readonly idle: boolean }>
  /** How long a turn may be silent before Kilo is asked how it is. */
  readonly silenceMs: number
  readonly hasBegun: () => boolean
  /** The turn is over, and its end was not heard. */
  readonly onOver: () => void
  /** Kilo is silent, and does not answer either. */
  readonly onMute: () => void
}

/** Keeps what is known of a turn true to Kilo when it was not heard. */
export interface SilenceWatch extends Disposable {
  /** Reads what was missed. Throws when Kilo does not tell. */
  reconcile(): Promise<void>
  /** The same for a stream that has just been opened anew, of which the beginning may be lost: soon looks again. */
  reopen(): Promise<void>
  /** Something of this turn was heard. */
  heard(): void
}

/** Between two answers of its model a turn may look idle for a moment. */
const SECOND_LOOK_MS = 1000
/** By so much may a timer ring too early, and the look would not count as the second one. */
const TIMER_ERROR_MS = 1
const UNANSWERED_MAX = 2
const AFTER_REOPENING_MS = 2000

/**
 * A turn that has become silent is looked at from time to time, for as long as Kilo answers. One that is over is
 * seen to be so twice before it is believed.
 */
export function createSilenceWatch(options: SilenceWatchOptions): SilenceWatch {
  let reading: Promise<void> = Promise.resolve()
  let timer: NodeJS.Timeout | undefined
  let idleSinceMs: number | undefined
  let unanswered = 0
  let closed = false
  /** A look that is due whatever is heard until then. */
  let isPromised = false

  const lookIn = (ms: number) => {
    clearTimeout(timer)
    if (!closed) timer = setTimeout(watch, ms).unref()
  }

  const look = async () => {
    isPromised = false
    const { idle } = await options.catchUp()
    if (closed) return
    unanswered = 0

    const nowMs = performance.now()
    idleSinceMs = idle && options.hasBegun() ? (idleSinceMs ?? nowMs) : undefined
    if (idleSinceMs === undefined) return lookIn(options.silenceMs)
    if (nowMs - idleSinceMs < SECOND_LOOK_MS) return lookIn(SECOND_LOOK_MS + TIMER_ERROR_MS)
    options.onOver()
  }

  // One after the other: each reads what has come to be since the one before it began.
  const reconcile = () => {
    reading = reading.then(look, look)
    return reading
  }

  const watch = () => {
    reconcile().catch(() => {
      unanswered += 1
      if (unanswered >= UNANSWERED_MAX) options.onMute()
      else lookIn(SECOND_LOOK_MS)
    })
  }

  lookIn(options.silenceMs)
  return {
    reconcile,
    async reopen() {
      await reconcile()
      if (idleSinceMs !== undefined || closed) return
      isPromised = true
      lookIn(Math.min(AFTER_REOPENING_MS, options.silenceMs))
    },
    heard() {
      if (idleSinceMs === undefined && !isPromised) timer?.refresh()
    },
    [Symbol.dispose]() {
      closed = true
      clearTimeout(timer)
    }
  }
}
