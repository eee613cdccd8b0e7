/**
 * A bell: a notification that carries no data. A ring may be duplicated or lost, so a listener reads the rows after each
 * ring, and polls them at a low rate without one.
 */
export interface Bus {
  ring(topic: string): void
  /** Calls `onRing` after every ring. Returns how to stop listening. */
  listen(topic: string, onRing: () => void): () => void
}

/** A project's history has grown. */
export const historyOf = (projectId: string) => `history:${projectId}`
/** A user answered a prompt or cancelled the job: its worker reads the request from the rows. */
export const inboxOf = (jobId: string) => `inbox:${jobId}`
