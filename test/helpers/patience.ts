/** Longer than anything takes on a machine that is busy with other tests; far shorter than the runner's own patience. */
export const PATIENCE_MS = 180_000

/** What the promise gives; rejects, saying what was waited for, when it gives nothing in time. */
export async function inTime<T>(promise: Promise<T>, what: string, ms = PATIENCE_MS): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new Error(`waited in vain for ${what}`)), ms)
  try {
    return await Promise.race([promise, late.promise])
  } finally {
    clearTimeout(timer)
  }
}

/** Asks again and again until the answer is yes; rejects when it does not become that in time. */
export async function until(
  what: string,
  isSo: () => boolean | Promise<boolean>,
  { everyMs = 20, ms = PATIENCE_MS } = {}
): Promise<void> {
  const giveUpAt = Date.now() + ms
  while (!(await isSo())) {
    if (Date.now() > giveUpAt) throw new Error(`waited in vain for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, everyMs))
  }
}

const PAUSE_MS_MIN = 20
const PAUSE_MS_MAX = 200

/**
 * Pauses between polls, each longer than the one before. A poll of the product costs milliseconds of CPU, and a dozen
 * tests that poll every 20 ms would leave no CPU to the server that they wait for.
 */
export function createPauses(): { pause(): Promise<void>; reset(): void } {
  let ms = PAUSE_MS_MIN
  return {
    async pause() {
      await new Promise((resolve) => setTimeout(resolve, ms))
      ms = Math.min(ms * 1.5, PAUSE_MS_MAX)
    },
    /** After a poll that brought news more may follow soon. */
    reset() {
      ms = PAUSE_MS_MIN
    }
  }
}
