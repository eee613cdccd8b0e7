/**
 * A bell. It says "look again" and carries nothing: a ring may be doubled or missed, so whoever hears it
 * reads the rows, and whoever waits for it looks at them now and then without it.
 */
export interface Bus {
  ring(topic: string): void
  /** Calls back after every ring from now on. Returns how to stop listening. */
  listen(topic: string, heard: () => void): () => void
}

/** A project's history has grown. */
export const historyOf = (projectId: string) => `history:${projectId}`
/** Somebody answered or cancelled: the job's runner should look at its rows. */
export const inboxOf = (jobId: string) => `inbox:${jobId}`
