import { replay, type BurstOptions } from '#fixtures'

/** What the replaying Kilo is to play: so many events, each stamped with the moment of its sending. */
export type Burst = Pick<BurstOptions, 'tools' | 'texts' | 'perSecond'>

export const burstPrompt = (burst: Burst) => replay('burst', burst)

/** A tool is two events, which are lifecycle frames and forwarded immediately; pieces of text may be joined. */
export const eventsOf = ({ tools = 0, texts = 0 }: Burst) => 2 * tools + texts

const STAMP = /\[(\d{13}\.\d{3})\]/g
export const nowMs = () => performance.timeOrigin + performance.now()

/** When the first event of a message was sent, in milliseconds since 1970. */
export function sentAtMs(text: string): number | undefined {
  const stamp = new RegExp(STAMP).exec(text)?.[1]
  return stamp === undefined ? undefined : Number(stamp)
}

/**
 * Hears messages, and notes how old each event of a burst was when it first came, in milliseconds; Kilo tells a text once
 * more, whole, at its end.
 */
export function createAges() {
  const seen = new Set<string>()
  const ages: number[] = []
  return {
    ages,
    receive(text: string): void {
      const now = nowMs()
      for (const [, stamp] of text.matchAll(STAMP)) {
        if (seen.has(stamp!)) continue
        seen.add(stamp!)
        ages.push(now - Number(stamp))
      }
    }
  }
}
