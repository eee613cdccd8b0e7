import { AppError } from '#kernel/errors.ts'
import type { ProjectId, UserId } from '#kernel/ids.ts'
import { LIMITS } from '#kernel/limits.ts'
import { createSerialQueue } from '#kernel/waiting.ts'
import { ownProject } from '#projects'
import type { AppDeps } from '../app-deps.ts'
import type { ClientMessage } from './messages.ts'
import { notice } from './notices.ts'
import type { Outbox } from './outbox.ts'
import type { SnapshotDeps } from './snapshot.ts'
import { follow, type Progress } from './subscription.ts'

export type SubscriptionDeps = SnapshotDeps & Pick<AppDeps, 'feed'>

/** Whose socket it is, and what it may see. */
export interface Viewer {
  readonly userId: UserId
  /** The one project of the ticket that opened the socket; null when a key did. */
  readonly onlyProject: ProjectId | null
}

export interface Subscriptions {
  /** Follows a project; one that is followed already begins anew, from the new place. */
  add(message: Extract<ClientMessage, { type: 'subscribe' }>): Promise<void>
  drop(projectId: string): void
  /** Says how far each has come, and looks whether it may go on. */
  beat(): void
  end(): void
}

interface Running {
  readonly stop: AbortController
  readonly progress: Progress
}

/** The projects that one socket follows, each by itself. `failed` hears why one of them cannot go on. */
export function createSubscriptions(
  deps: SubscriptionDeps,
  outbox: Outbox,
  { userId, onlyProject }: Viewer,
  failed: (err: unknown) => void
): Subscriptions {
  const running = new Map<string, Running>()
  const serialQueue = createSerialQueue()

  const drop = (projectId: string) => {
    running.get(projectId)?.stop.abort()
    running.delete(projectId)
  }

  return {
    async add({ projectId, after }) {
      if (onlyProject && projectId !== onlyProject) {
        throw new AppError('forbidden', 'this ticket opens another project')
      }
      const { id } = await ownProject(deps.db, userId, projectId)
      drop(id)
      if (running.size >= LIMITS.socketSubscriptionsMax) {
        throw new AppError('invalid_request', 'this socket has as many subscriptions as it may')
      }
      const stop = new AbortController()
      const progress: Progress = { lastSeq: null }
      running.set(id, { stop, progress })
      follow(
        deps,
        outbox,
        { userId, projectId: id, after, serialQueue },
        progress,
        stop.signal
      ).catch((err: unknown) => {
        if (!stop.signal.aborted) failed(err)
      })
    },

    drop,

    beat() {
      for (const [id, { progress }] of running) {
        if (progress.lastSeq === null) continue
        const data = { projectId: id, lastSeq: progress.lastSeq }
        outbox.sendIfRoom(notice('heartbeat', data, id))
        // What may be seen live is what may be seen at all: a project that is gone takes its socket with it.
        ownProject(deps.db, userId, id).catch(failed)
      }
    },

    end() {
      for (const id of running.keys()) drop(id)
    }
  }
}
