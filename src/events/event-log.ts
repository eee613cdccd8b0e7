import type { Db } from '#db'
import type { Draft } from '#kernel/frames.ts'
import type { ProjectId } from '#kernel/ids.ts'
import { JobFailure } from '#kernel/job-failures.ts'
import { historyOf, type Bus } from '#ports/bus.ts'
import { insertFrames, type Appended, type FrameScope } from './event-store.ts'
import { createRecentFrames, type RecentFrames } from './recent-frames.ts'

export interface EventLog {
  /**
   * Appends the drafts to the project's history, in the caller's transaction if `db` is one; the caller announces the
   * result after its commit. Throws `lease_lost` when the scope's fencing token is outdated.
   */
  append(db: Db, scope: FrameScope, drafts: readonly Draft[]): Promise<Appended>
  /** Rings the bell of the project's history. What was appended, if given, is committed: followers need not read it. */
  announce(projectId: ProjectId, appended?: Appended): void
  /** Appends and announces. */
  record(scope: FrameScope, drafts: readonly Draft[]): Promise<void>
}

const NOTHING: Appended = { frames: [], bytes: 0 }

/** Commits frames before announcing them: every frame that a client sees is a row of the log. */
export function createEventLog(
  db: Db,
  bus: Bus,
  recent: Pick<RecentFrames, 'add'> = createRecentFrames()
): EventLog {
  const log: EventLog = {
    async append(within, scope, drafts) {
      if (drafts.length === 0) return NOTHING
      const appended = await insertFrames(within, scope, drafts)
      if (appended) return appended
      throw new JobFailure('lease_lost', 'another worker has taken over this project')
    },

    announce(projectId, { frames, bytes } = NOTHING) {
      recent.add(projectId, frames, bytes)
      bus.ring(historyOf(projectId))
    },

    async record(scope, drafts) {
      log.announce(scope.projectId, await log.append(db, scope, drafts))
    }
  }
  return log
}
