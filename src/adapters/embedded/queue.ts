import PQueue from 'p-queue'
import type { ProjectId } from '#kernel/ids.ts'
import type { Queue } from '#ports/queue.ts'

/** p-queue with one place a project; a ring that comes while a project is served is kept for after it. */
export function createEmbeddedQueue(width: number): Queue {
  const serving = new PQueue({ concurrency: width })
  const inside = new Set<ProjectId>()
  const rungAgain = new Set<ProjectId>()
  let answer: ((projectId: ProjectId) => Promise<void>) | undefined
  let closed = false

  const enter = (projectId: ProjectId) => {
    inside.add(projectId)
    void serving.add(async () => {
      await answer?.(projectId)
      inside.delete(projectId)
      if (rungAgain.delete(projectId) && !closed) enter(projectId)
    })
  }

  return {
    ring(projectId) {
      // Without anybody to answer the ring is lost, as it may be; the sweep rings again.
      if (closed || !answer) return
      if (inside.has(projectId)) rungAgain.add(projectId)
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
