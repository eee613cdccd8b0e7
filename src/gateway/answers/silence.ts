import type { AnswerCount } from '../protocols/protocol.ts'

/** After the usage that follows a finish reason only the end can follow. */
const AFTER_USAGE_MS = 2000
/** Some providers report the usage late, and some not at all. */
const AFTER_FINISH_MS = 10_000

/** Ends an answer that has stopped. */
export interface Silence extends Disposable {
  /** Aborts when nothing has come for as long as the stage of the answer allows. */
  readonly signal: AbortSignal
  /** After each piece: content and a new stage are progress; pings and comments are not. */
  look(): void
  /** While the agent does not read, the provider is not to blame. */
  during(waiting: Promise<void>): Promise<void>
}

export function watchSilence(count: AnswerCount, silenceMs: number): Silence {
  const stopped = new AbortController()
  let timer: NodeJS.Timeout | undefined
  let known = ''

  const arm = () => {
    clearTimeout(timer)
    timer = setTimeout(() => stopped.abort(), limitMs())
  }
  const limitMs = () => {
    if (count.stage() === 'open') return silenceMs
    return Math.min(silenceMs, count.reported() ? AFTER_USAGE_MS : AFTER_FINISH_MS)
  }
  const look = () => {
    // The usage matters only at the end of an answer; until then this runs once per piece.
    const hasUsage = count.stage() !== 'open' && count.reported() !== undefined
    const now = `${count.stage()} ${count.content()} ${hasUsage}`
    if (now === known) return
    known = now
    arm()
  }
  look()

  return {
    signal: stopped.signal,
    look,
    async during(waiting) {
      clearTimeout(timer)
      await waiting
      arm()
    },
    [Symbol.dispose]: () => clearTimeout(timer)
  }
}
