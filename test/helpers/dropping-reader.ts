import { setTimeout as sleep } from 'node:timers/promises'
import type { Frame } from '#kernel/frames.ts'

/** One line to the server while it stands. */
export interface Line {
  /** Resolves when it is closed, by whomever. */
  readonly closed: Promise<void>
  /** Asks for everything after this number. */
  subscribe(after: number): void
  /** Ends it as a reader does who says goodbye, and hears what comes until then. */
  close(): void
  /** Ends it as a cable does. */
  cut(): void
}

/** Opens a line; undefined when the server is away. Throws when it says no. */
export type OpenLine = (onFrame: (frame: Frame) => void) => Promise<Line | undefined>

export const DROPS = ['close', 'cut', 'before', 'at-once', 'in-page'] as const
export type Drop = (typeof DROPS)[number]

export interface ReaderOptions {
  readonly open: OpenLine
  /** From 0 to 1, always the same for the same seed. */
  readonly random: () => number
  readonly dropsMax: number
  /** The longest that it stays before it leaves at a moment of its own choice. */
  readonly stayMsMax: number
  /** The most frames that it takes before it leaves in the middle of a page. */
  readonly framesMax: number
  /** True when there will be no more frames after this one. */
  readonly isLast: (frame: Frame) => boolean
  readonly onDrop: (drop: Drop) => void
}

const AWAY_MS_MAX = 100

/**
 * Reads a project's history while its line is dropped in every way and at random moments, and comes back each time with
 * the number of the last frame that it has handled. Answers all that it was given, in the order in which it came.
 */
export async function readWithDrops(options: ReaderOptions): Promise<Frame[]> {
  const { random } = options
  const frames: Frame[] = []
  let dropsLeft = options.dropsMax

  for (;;) {
    const drop = dropsLeft > 0 ? DROPS[Math.floor(random() * DROPS.length)] : undefined
    if (await readUntil(drop)) return frames
    await sleep(random() * AWAY_MS_MAX)
  }

  /** Reads on one line until it is dropped; true when the last frame has come. */
  async function readUntil(drop: Drop | undefined): Promise<boolean> {
    const enough = drop === 'in-page' ? 1 + Math.floor(random() * options.framesMax) : Infinity
    const over = Promise.withResolvers<void>()
    let come = 0
    let gone = false
    let isLast = false
    const receive = (frame: Frame) => {
      if (gone) return
      frames.push(frame)
      isLast = options.isLast(frame)
      // The rest of the page is not read from here on.
      if (isLast || ++come >= enough) {
        gone = true
        over.resolve()
      }
    }
    const line = await options.open(receive)
    if (!line) return false

    if (drop !== 'before') line.subscribe(frames.at(-1)?.seq ?? 0)
    if (drop === 'close' || drop === 'cut')
      void sleep(random() * options.stayMsMax).then(over.resolve)
    if (drop === 'before' || drop === 'at-once') over.resolve()
    await Promise.race([over.promise, line.closed])

    if (drop === 'close') line.close()
    else {
      gone = true
      line.cut()
    }
    await line.closed
    if (drop && !isLast) {
      dropsLeft -= 1
      options.onDrop(drop)
    }
    return isLast
  }
}
