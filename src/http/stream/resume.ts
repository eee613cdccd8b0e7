import type { Feed } from '#events'
import type { ProjectId } from '#kernel/ids.ts'

/** Where a reader begins: it is given the frames after `after`. */
export type Start =
  /** It goes on where it was. `lastSeq` is the last number given out when we looked. */
  | { readonly kind: 'resume'; readonly lastSeq: number; readonly after: number }
  /** History does not have what comes after its place: it is told so, and what the oldest frame is that there is. */
  | {
      readonly kind: 'resync'
      readonly lastSeq: number
      readonly after: number
      readonly oldestSeq: number
    }
export type Resync = Extract<Start, { kind: 'resync' }>

/** Where a reader goes on: after its own place if history still reaches it, else from now on, and it is told. */
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

/** Where a reader goes on whose history was removed before it got there: from now on, and it is told. */
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
