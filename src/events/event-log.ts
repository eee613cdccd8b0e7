import type { Db } from '#db'
import type { Draft } from '#kernel/frames.ts'
import type { ProjectId } from '#kernel/ids.ts'
import { JobFailure } from '#kernel/job-failures.ts'
import { historyOf, type Bus } from '#ports/bus.ts'
import { insertFrames, type FrameScope } from './event-store.ts'

export interface EventLog {
  /**
   * Appends the drafts to the project's history, in the caller's transaction if `db` is one; the caller announces after
   * its commit. Throws `lease_lost` when the scope's fencing token is outdated.
   */
  append(db: Db, scope: FrameScope, drafts: readonly Draft[]): Promise<void>
  /** Rings the bell of the project's history. */
  announce(projectId: ProjectId): void
  /** Appends and announces. */
  record(scope: FrameScope, drafts: readonly Draft[]): Promise<void>
}

/** Commits frames before announcing them: every frame that a client sees is a row of the log. */
export function createEventLog(db: Db, bus: Bus): EventLog {
  const log: EventLog = {
    async append(within, scope, drafts) {
      if (drafts.length === 0) return
      if (await insertFrames(within, scope, drafts)) return
      throw new JobFailure('lease_lost', 'another worker has taken over this project')
    },

    announce: (projectId) => bus.ring(historyOf(projectId)),

    async record(scope, drafts) {
      await log.append(db, scope, drafts)
      log.announce(scope.projectId)
    }
  }
  return log
}
