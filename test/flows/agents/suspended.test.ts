import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { replay } from '#fixtures'
import { LIMITS } from '#kernel/limits.ts'
import { runsOf } from '../../helpers/property.ts'
import { givenProject, seen } from '../../helpers/product.ts'
import { startServer } from '../../helpers/server-process.ts'

const isDeep = runsOf({ usual: 0, deep: 1 }) > 0

/** As a machine that sleeps; the shorter form of it is in the contract of locks. */
t.test(
  'a server that was suspended for longer than its leases finishes its job',
  { skip: !isDeep && 'takes a minute: npm run test:deep' },
  async (t) => {
    await using server = await startServer()
    const project = await givenProject(await server.user())
    const jobId = await project.submit(replay('bash-slow', { speed: 0.2 }))
    await seen(project.client, jobId, 'job:running')
    process.kill(server.pid, 'SIGSTOP')
    await sleep(LIMITS.leaseTtlMs + 5000)
    process.kill(server.pid, 'SIGCONT')
    const story = await project.story(jobId)
    t.equal(story.last.type, 'job:success', JSON.stringify(story.last.data))
    const next = await project.run(replay('bash-slow'))
    t.equal(next.last.type, 'job:success')
  }
)
