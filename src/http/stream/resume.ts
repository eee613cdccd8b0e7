import type { Feed } from '#events'
import type { ProjectId } from '#kernel/ids.ts'

/** Where a client's frames begin: after the cursor `after`. */
export type Start =
  /** History contains all frames after the cursor. `lastSeq` is the last `seq` at that time. */
  | { readonly kind: 'resume'; readonly lastSeq: number; readonly after: number }
  /** History lacks frames after the cursor: the client gets `resync` with the oldest `seq`, and continues live. */
  | {
      readonly kind: 'resync'
      readonly lastSeq: number
      readonly after: number
      readonly oldestSeq: number
    }
export type Resync = Extract<Start, { kind: 'resync' }>

/** Resumes after the given cursor if history still contains what follows it, else live with a `resync`. */
export async function startOf(
  feed: Feed,
  projectId: ProjectId,
  after: number | undefined
): Promise<Start> {
  const { lastSeq, oldestSeq } = await feed.reach(projectId)
  if (after === undefined) return { kind: 'resume', lastSeq, after: lastSeq }

  const reached = after >= oldestSeq - 1 && after <= lastSeq
  return reached ? { kind: 'resume', lastSeq, after } : fromNow(lastSeq, oldestSeq)
}

/** For a client whose unread history was removed: live, with a `resync`. */
export async function startAfterGap(feed: Feed, projectId: ProjectId): Promise<Resync> {
  const { lastSeq, oldestSeq } = await feed.reach(projectId)
  return fromNow(lastSeq, oldestSeq)
}

const fromNow = (lastSeq: number, oldestSeq: number): Resync => ({
  kind: 'resync',
  lastSeq,
  after: lastSeq,
  oldestSeq
})
