import type { ProjectId } from '#kernel/ids.ts'

/** The right to work on one project, until it is disposed of or its signal aborts. */
export interface Lease extends AsyncDisposable {
  readonly projectId: ProjectId
  /** The fencing token: larger than that of every earlier lease of this project. */
  readonly token: bigint
  /** Aborts as soon as holding the project is no longer certain. */
  readonly signal: AbortSignal
}

/**
 * One holder a project. `acquire` answers undefined when somebody else holds it; it never waits.
 * A lease renews itself; when it could not for `leaseGiveUpAfterMs` its signal aborts. Disposing twice is
 * disposing once, and gives the project back at once.
 */
export interface ProjectLock {
  acquire(projectId: ProjectId): Promise<Lease | undefined>
}
