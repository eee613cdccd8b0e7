import type { Clock } from '#kernel/clock.ts'
import { within } from '#kernel/waiting.ts'
import type { KiloProcess } from '../kilo-process.ts'
import { decideStart, type StartBounds } from './patience-policy.ts'

/** Bounds the steps of one start together, as `patience-policy.ts` decides. */
export interface StartPatience {
  /** Resolves with the value of the step, or with undefined when it is not awaited any longer. */
  await<T>(step: Promise<T>, answersHealth?: () => Promise<boolean>): Promise<T | undefined>
  /** For messages: the bound that the start has reached. */
  boundSeconds(): number
}

const CHECK_MS_MAX = 5000

/** From now on, for the process that has just been spawned. */
export function createStartPatience(
  kilo: Pick<KiloProcess, 'activity'>,
  bounds: StartBounds,
  clock: Clock
): StartPatience {
  const startedAtMs = clock.monotonicMs()
  const checkMs = Math.min(CHECK_MS_MAX, bounds.startMs / 4)
  let checkedAtMs = startedAtMs
  let last = { cpuMs: 0, outputBytes: 0 }

  const check = async (answersHealth: () => Promise<boolean>) => {
    const nowMs = clock.monotonicMs()
    const [activity, answers] = await Promise.all([kilo.activity(), answersHealth()])
    const facts = {
      waitedMs: nowMs - startedAtMs,
      sinceCheckMs: nowMs - checkedAtMs,
      cpuMs: activity.cpuMs - last.cpuMs,
      wroteOutput: activity.outputBytes > last.outputBytes,
      answersHealth: answers
    }
    last = activity
    checkedAtMs = nowMs
    return decideStart(facts, bounds)
  }

  return {
    async await(step, answersHealth = () => Promise.resolve(false)) {
      const boxed = step.then((value) => ({ value }))
      for (;;) {
        const box = await within(boxed, checkMs, clock)
        if (box) return box.value
        if ((await check(answersHealth)) === 'fail') return undefined
      }
    },
    boundSeconds() {
      const waitedMs = clock.monotonicMs() - startedAtMs
      return (waitedMs >= bounds.startMaxMs ? bounds.startMaxMs : bounds.startMs) / 1000
    }
  }
}
