import type { ProjectId } from '#kernel/ids.ts'

/**
 * A doorbell, one button a project. Rings for a project that is being served are heard once more after it;
 * rings of one project never overlap; projects are served side by side up to the queue's width. The truth is
 * the `jobs` table: a ring that gets lost delays work and loses none.
 */
export interface Queue extends AsyncDisposable {
  ring(projectId: ProjectId): void
  /** Starts answering; `answer` must not throw. */
  serve(answer: (projectId: ProjectId) => Promise<void>): void
}
