import type { ProjectId, UserId } from '#kernel/ids.ts'
import type { AppDeps } from '../app-deps.ts'
import { startOf } from './cursor.ts'
import { notice } from './messages.ts'
import type { Outbox } from './outbox.ts'
import { takeSnapshot, type SnapshotDeps } from './snapshot.ts'

export interface Subscription {
  readonly userId: UserId
  readonly projectId: ProjectId
  readonly after: number | undefined
}

/** How far a subscription has come. */
export interface Progress {
  /** Everything up to here has been sent; null before the snapshot is. */
  lastSeq: number | null
}

/**
 * One project on one socket: how it stands, what was missed, and then everything as it happens, until the signal
 * aborts. The place in history is read before the state, so nothing falls between the two.
 */
export async function follow(
  deps: SnapshotDeps & Pick<AppDeps, 'feed'>,
  outbox: Outbox,
  { userId, projectId, after }: Subscription,
  progress: Progress,
  signal: AbortSignal
): Promise<void> {
  const start = await startOf(deps.feed, projectId, after)
  const snapshot = await takeSnapshot(deps, userId, projectId, start.lastSeq)
  if (signal.aborted) return

  await outbox.send(notice('snapshot', snapshot, projectId))
  if (start.resyncFrom !== null) {
    await outbox.send(notice('resync', { oldestSeq: start.resyncFrom }, projectId))
  }
  progress.lastSeq = start.after
  for await (const frame of deps.feed.follow(projectId, { after: start.after }, signal)) {
    if (!(await outbox.send(frame))) return
    progress.lastSeq = frame.seq
  }
}
