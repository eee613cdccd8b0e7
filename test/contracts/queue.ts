import t from 'tap'
import { projectId, type ProjectId } from '#kernel/ids.ts'
import type { Queue } from '#ports/queue.ts'
import { until } from '../helpers/patience.ts'

/** What every doorbell promises. `open` answers a queue that serves at most two projects at a time. */
export function queueContract(name: string, open: () => Promise<Queue>) {
  const served = async (queue: Queue, answer: (id: ProjectId) => Promise<void>) => {
    queue.serve(answer)
    return queue
  }
  const settled = () => new Promise((resolve) => setTimeout(resolve, 150))

  t.test(
    `${name}: rings of one project never overlap, and one while it is served is kept`,
    async (t) => {
      const project = projectId.create()
      let inside = 0
      let most = 0
      let answers = 0
      await using queue = await served(await open(), async () => {
        inside += 1
        most = Math.max(most, inside)
        await new Promise((resolve) => setTimeout(resolve, 20))
        inside -= 1
        answers += 1
      })
      for (let ring = 0; ring < 10; ring += 1) queue.ring(project)
      await until('both answers', () => answers >= 2)
      await settled()
      t.equal(most, 1)
      t.equal(answers, 2, 'once for the first ring, and once more for all that came meanwhile')
    }
  )

  t.test(`${name}: projects are served side by side, up to the width`, async (t) => {
    let inside = 0
    let most = 0
    const seen = new Set<string>()
    await using queue = await served(await open(), async (id) => {
      seen.add(id)
      inside += 1
      most = Math.max(most, inside)
      await new Promise((resolve) => setTimeout(resolve, 20))
      inside -= 1
    })
    for (let ring = 0; ring < 5; ring += 1) queue.ring(projectId.create())
    await until('all of them', () => seen.size === 5 && inside === 0)
    t.equal(most, 2)
  })

  t.test(`${name}: disposal waits for the running work, and starts no other`, async (t) => {
    let finished = 0
    const queue = await served(await open(), async () => {
      await new Promise((resolve) => setTimeout(resolve, 50))
      finished += 1
    })
    queue.ring(projectId.create())
    await new Promise((resolve) => setTimeout(resolve, 10))
    await queue[Symbol.asyncDispose]()
    t.equal(finished, 1)
    queue.ring(projectId.create())
    await settled()
    t.equal(finished, 1)
  })
}
