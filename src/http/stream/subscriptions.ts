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

/** The user of a socket and what it may read. */
export interface Viewer {
  readonly userId: UserId
  /** The project that the socket's ticket is limited to; null when it was opened with a key. */
  readonly onlyProject: ProjectId | null
}

export interface Subscriptions {
  /** Subscribes to a project. An existing subscription to it starts over from the new cursor. */
  add(message: Extract<ClientMessage, { type: 'subscribe' }>): Promise<void>
  drop(projectId: string): void
  count(): number
  /** Sends a heartbeat per subscription, and checks that the user may still read the project. */
  beat(): void
  end(): void
}

interface Running {
  readonly stop: AbortController
  readonly progress: Progress
}

/** The subscriptions of one socket, independent of each other. `failed` is called when one of them fails. */
export function createSubscriptions(
  deps: SubscriptionDeps,
  outbox: Outbox,
  { userId, onlyProject }: Viewer,
  failed: (err: unknown, of: { readonly projectId: string }) => void
): Subscriptions {
  const running = new Map<string, Running>()
  const serialQueue = createSerialQueue()

  const drop = (projectId: string) => {
    running.get(projectId)?.stop.abort()
    running.delete(projectId)
  }

  const fail = (err: unknown, projectId: string) => {
    drop(projectId)
    failed(err, { projectId })
  }

  return {
    count: () => running.size,

    async add({ projectId, after }) {
      if (onlyProject && projectId !== onlyProject) {
        throw new AppError('forbidden', 'this ticket is for another project')
      }
      const { id } = await ownProject(deps.db, userId, projectId)
      drop(id)
      if (running.size >= LIMITS.socketSubscriptionsMax) {
        throw new AppError(
          'invalid_request',
          `a socket is limited to ${LIMITS.socketSubscriptionsMax} subscriptions`
        )
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
        if (!stop.signal.aborted) fail(err, id)
      })
    },

    drop,

    beat() {
      for (const [id, { progress }] of running) {
        if (progress.lastSeq === null) continue
        const data = { projectId: id, lastSeq: progress.lastSeq }
        outbox.sendIfRoom(notice('heartbeat', data, id))
        // A deleted project ends its subscription: live access needs the same permission as every request.
        ownProject(deps.db, userId, id).catch((err: unknown) => fail(err, id))
      }
    },

    end() {
      for (const id of running.keys()) drop(id)
    }
  }
}
