import type { ProjectId, UserId } from '#kernel/ids.ts'
import type { SerialQueue } from '#kernel/waiting.ts'
import type { AppDeps } from '../app-deps.ts'
import { startAfterGap, startOf, type Start } from './resume.ts'
import { notice } from './notices.ts'
import type { Outbox } from './outbox.ts'
import { takeSnapshot, type SnapshotDeps } from './snapshot.ts'

export interface Subscription {
  readonly userId: UserId
  readonly projectId: ProjectId
  readonly after: number | undefined
  /** Serialises the snapshots of one socket. */
  readonly serialQueue: SerialQueue
}

/** The progress of a subscription. */
export interface Progress {
  /** The last `seq` that was sent; null before the snapshot was sent. */
  lastSeq: number | null
}

/**
 * One project on one socket: a snapshot, the missed frames, then live frames, until the signal aborts. When unread
 * history is removed, the subscription starts over with a snapshot and a `resync`, as with a cursor that is too old.
 */
export async function follow(
  deps: SnapshotDeps & Pick<AppDeps, 'feed'>,
  outbox: Outbox,
  subscription: Subscription,
  progress: Progress,
  signal: AbortSignal
): Promise<void> {
  const { projectId, after } = subscription
  let start = await startOf(deps.feed, projectId, after)
  while (!signal.aborted) {
    const isOpen = await begin(deps, outbox, subscription, start, progress, signal)
    if (!isOpen) return
    for await (const frame of deps.feed.follow(projectId, { after: start.after }, signal)) {
      if (!(await outbox.send(frame))) return
      progress.lastSeq = frame.seq
    }
    if (!signal.aborted) start = await startAfterGap(deps.feed, projectId)
  }
}

/** `start` was read before the snapshot is taken, so no frame is lost between the two. */
async function begin(
  deps: SnapshotDeps,
  outbox: Outbox,
  { userId, projectId, serialQueue }: Subscription,
  start: Start,
  progress: Progress,
  signal: AbortSignal
): Promise<boolean> {
  const snapshot = await serialQueue(async () =>
    signal.aborted ? undefined : takeSnapshot(deps, userId, projectId, start.lastSeq)
  )
  if (!snapshot || signal.aborted) return false

  const isOpen = await outbox.send(notice('snapshot', snapshot, projectId))
  progress.lastSeq = start.after
  if (start.kind === 'resume') return isOpen
  const { oldestSeq, lastSeq } = start
  return outbox.send(notice('resync', { oldestSeq, lastSeq }, projectId))
}
