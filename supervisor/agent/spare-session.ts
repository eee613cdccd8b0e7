import type { Log } from '#kernel/log.ts'

/** Kilo asks a model for the title of a session that has a title of its own making, so every session gets one of ours. */
const TITLE = 'Conversation'

export interface SpareSession {
  /** A session without messages: the spare one, or one made now. */
  take(): Promise<string>
  /** Makes a spare session unless there is one. Never rejects. */
  prepare(): void
}

/**
 * Keeps one unused session ready, so that a new conversation on a warm agent does not wait for Kilo to make it. Sessions
 * are all alike before their first prompt: mode, model and text come with the prompt.
 */
export function createSpareSession(
  create: (title: string) => Promise<string>,
  log: Log
): SpareSession {
  let spare: Promise<string | undefined> | undefined

  const make = () =>
    create(TITLE).catch((err: unknown) => {
      log.warn({ err }, 'failed to prepare a session')
      return undefined
    })
  return {
    async take() {
      const prepared = spare
      spare = undefined
      return (await prepared) ?? create(TITLE)
    },
    prepare() {
      spare ??= make()
    }
  }
}
