import type { ProjectId } from '#kernel/ids.ts'

/**
 * A work queue of projects, without data: `ring` says that a project may have work. Rings during the work on a project
 * cause one more call after it. Calls for one project never overlap; different projects run concurrently, up to the
 * queue's width. The `jobs` table decides what there is to do: a lost ring delays work and loses none.
 */
export interface Queue extends AsyncDisposable {
  ring(projectId: ProjectId): void
  /** Starts the calls; `answer` must not throw. */
  serve(answer: (projectId: ProjectId) => Promise<void>): void
}
