import type { Feed } from '#events'
import type { ProjectId } from '#kernel/ids.ts'

export interface Start {
  /** The last `seq` when we looked. */
  readonly lastSeq: number
  /** Frames after this one follow. */
  readonly after: number
  /** Said when history cannot give what was asked for: this is the oldest that there is. */
  readonly resyncFrom: number | null
}

/** Where a reader goes on: after its own place if history still reaches it, else from now on, and it is told. */
export async function startOf(
  feed: Feed,
  projectId: ProjectId,
  after: number | undefined
): Promise<Start> {
  const { lastSeq, oldestSeq } = await feed.reach(projectId)
  if (after === undefined) return { lastSeq, after: lastSeq, resyncFrom: null }

  const reached = after >= oldestSeq - 1 && after <= lastSeq
  return reached ? { lastSeq, after, resyncFrom: null } : fromNow(lastSeq, oldestSeq)
}

/** Where a reader goes on whose history was removed before it got there: from now on, and it is told. */
export async function startAfterGap(feed: Feed, projectId: ProjectId): Promise<Start> {
  const { lastSeq, oldestSeq } = await feed.reach(projectId)
  return fromNow(lastSeq, oldestSeq)
}

const fromNow = (lastSeq: number, oldestSeq: number): Start => ({
  ...{ lastSeq, after: lastSeq, resyncFrom: oldestSeq }
})
