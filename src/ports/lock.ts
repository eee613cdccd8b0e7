import type { ProjectId } from '#kernel/ids.ts'

/** The right to work on one project, until it is disposed of or its signal aborts. */
export interface Lease extends AsyncDisposable {
  readonly projectId: ProjectId
  /** The fencing token: larger than that of every earlier lease of this project. */
  readonly token: bigint
  /** Aborts when the lease may be lost. */
  readonly signal: AbortSignal
}

/**
 * One holder per project. `acquire` returns undefined when another worker holds the project; it never waits.
 * A lease renews itself; after `leaseGiveUpAfterMs` without a successful renewal its signal aborts. Disposing releases
 * the project immediately, and is idempotent.
 */
export interface ProjectLock {
  acquire(projectId: ProjectId): Promise<Lease | undefined>
}
