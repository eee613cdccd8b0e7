import PQueue from 'p-queue'
import type { ProjectId } from '#kernel/ids.ts'
import type { Queue } from '#ports/queue.ts'

/** A p-queue with at most one entry per project; rings during the work on a project are joined to one call after it. */
export function createEmbeddedQueue(width: number): Queue {
  const serving = new PQueue({ concurrency: width })
  const queued = new Set<ProjectId>()
  const rungAgain = new Set<ProjectId>()
  let answer: ((projectId: ProjectId) => Promise<void>) | undefined
  let closed = false

  const enter = (projectId: ProjectId) => {
    queued.add(projectId)
    void serving.add(async () => {
      await answer?.(projectId)
      queued.delete(projectId)
      if (rungAgain.delete(projectId) && !closed) enter(projectId)
    })
  }

  return {
    ring(projectId) {
      // Before `serve` a ring is lost; the periodic sweep rings again.
      if (closed || !answer) return
      if (queued.has(projectId)) rungAgain.add(projectId)
      else enter(projectId)
    },
    serve(work) {
      answer = work
    },
    async [Symbol.asyncDispose]() {
      closed = true
      serving.clear()
      await serving.onIdle()
    }
  }
}
