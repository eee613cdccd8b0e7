import type { EventLog, FrameScope } from '#events'
import type { Clock } from '#kernel/clock.ts'
import type { Draft } from '#kernel/frames.ts'
import { LIMITS } from '#kernel/limits.ts'

export interface FrameWriter {
  /** Buffers a frame and writes it soon, in the order of the calls. Never waits. */
  write(draft: Draft): void
  /** Resolves when all frames so far are in the log. Throws the error of a write that failed. */
  flush(): Promise<void>
  /** Aborts when a write failed: the lease is lost, or the database is unavailable. */
  readonly failed: AbortSignal
}

type LogDraft = Extract<Draft, { type: 'job:log' }>

const continues = (last: Draft | undefined, next: LogDraft): last is LogDraft =>
  last?.type === 'job:log' &&
  bytesOf(last) < LIMITS.logJoinBytes &&
  last.data.partId === next.data.partId &&
  last.data.source === next.data.source

/**
 * Adds a frame to the buffer. Text that follows text of the same part is joined to its frame until that has
 * `logJoinBytes`; any other frame stays separate.
 */
export function append(waiting: Draft[], next: Draft): void {
  const last = waiting.at(-1)
  if (next.type === 'job:log' && continues(last, next)) {
    const text = last.data.text + next.data.text
    waiting[waiting.length - 1] = { type: 'job:log', data: { ...next.data, text } }
  } else waiting.push(next)
}

const bytesOf = (draft: Draft | undefined) =>
  draft?.type === 'job:log' ? Buffer.byteLength(draft.data.text) : 0

/**
 * Writes a job's frames in batches: lifecycle frames immediately, text after `logJoinMs` or `logJoinBytes`. While one
 * batch is being written the next one is buffered, so that a slow database gets fewer and larger writes.
 */
export function createFrameWriter(
  events: Pick<EventLog, 'record'>,
  scope: FrameScope,
  clock: Clock
): FrameWriter {
  const failed = new AbortController()
  const waiting: Draft[] = []
  let writing: Promise<void> | undefined
  let timer: NodeJS.Timeout | undefined
  let writtenAt = -Infinity

  const writeAll = async () => {
    while (waiting.length > 0 && !failed.signal.aborted) {
      const batch = waiting.splice(0, LIMITS.framesPerWrite)
      writtenAt = clock.monotonicMs()
      await events.record(scope, batch).catch((error: unknown) => failed.abort(error))
    }
    // Synchronously after the last check of `waiting`, so that the next frame starts a new write.
    writing = undefined
  }
  const writeNow = () => {
    clearTimeout(timer)
    timer = undefined
    if (waiting.length > 0 && !failed.signal.aborted) writing ??= writeAll()
    return writing
  }

  return {
    failed: failed.signal,

    write(draft) {
      append(waiting, draft)
      const patienceMs = LIMITS.logJoinMs - (clock.monotonicMs() - writtenAt)
      const mayWait = draft.type === 'job:log' && bytesOf(waiting.at(-1)) < LIMITS.logJoinBytes
      if (!mayWait || patienceMs <= 0) void writeNow()
      else timer ??= setTimeout(() => void writeNow(), patienceMs)
    },

    async flush() {
      while (waiting.length > 0 && !failed.signal.aborted) await writeNow()
      await writing
      failed.signal.throwIfAborted()
    }
  }
}

/** A text in pieces that each fit into a frame; no piece ends inside of a surrogate pair. */
export function logPieces(text: string, charsMax: number = LIMITS.logFrameCharsMax): string[] {
  if (text.length <= charsMax) return [text]
  const pieces: string[] = []
  for (let from = 0; from < text.length;) {
    const end = Math.min(from + charsMax, text.length)
    const isWithinPair = end < text.length && /[\uD800-\uDBFF]/.test(text[end - 1] ?? '')
    const to = isWithinPair && end - 1 > from ? end - 1 : end
    pieces.push(text.slice(from, to))
    from = to
  }
  return pieces
}
