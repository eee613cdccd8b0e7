import { rm, statfs, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { replay } from '#fixtures'
import { until } from '../../helpers/patience.ts'
import { givenProject, seen } from '../../helpers/product.ts'
import { mayMount, startServer } from '../../helpers/server-process.ts'

const DISK_MIB = 220

/** A real server on a small file system of its own, which is filled under a running job. */
t.test(
  'a full disk loses nothing that was answered',
  { skip: !mayMount() && 'needs the right to mount a file system' },
  async (t) => {
    await using server = await startServer({ diskMib: DISK_MIB })
    const client = await server.user()
    const project = await givenProject(client)
    await project.save('a.txt', 'before')
    const readiness = async () => (await fetch(`${server.url}/readyz`)).status
    t.equal(await readiness(), 200)
    const filler = join(server.dataDir, 'filler')
    const fill = async () => {
      const { bavail, bsize } = await statfs(server.dataDir)
      const write = writeFile(filler, Buffer.alloc(bavail * bsize + 1), { flag: 'a' })
      await t.rejects(write, { code: 'ENOSPC' })
    }

    const jobId = await project.submit(replay('bash-slow', { speed: 0.1 }))
    await seen(client, jobId, 'job:running')
    const worktree = join(server.dataDir, 'projects', project.id, 'worktree')
    await writeFile(join(worktree, 'half.txt'), 'half')
    await fill()
    await until('readiness to report it', async () => (await readiness()) === 503)
    const refused = { code: 'disk_full', retryable: true }
    t.match(await client.call('POST', '/projects', { name: 'x' }), { status: 503, body: refused })
    const saved = client.call('PUT', `/projects/${project.id}/files/b.txt`, { content: 'b' })
    t.match(await saved, { status: 507, body: refused })
    t.equal(await project.read('a.txt'), 'before', 'files can be read')

    await rm(filler)
    const story = await project.story(jobId)
    const { code, branch } = story.only('job:error')
    t.equal(code, 'disk_full')
    const at = `/projects/${project.id}/files?at=${encodeURIComponent(branch ?? '')}`
    const { body: kept } = await client.call<{ files: { path: string }[] }>('GET', at)
    t.ok(kept.files.some(({ path }) => path === 'half.txt'))
    await until('readiness to come back', async () => (await readiness()) === 200)
    await project.save('b.txt', 'after')

    const { body: before } = await client.call('GET', `/projects/${project.id}/events?limit=200`)
    await server.restart('SIGKILL')
    const { body: after } = await client.call('GET', `/projects/${project.id}/events?limit=200`)
    t.same(after, before, 'every row is there')
    t.equal(await project.read('b.txt'), 'after')
    const { body: metrics } = await (await server.admin()).call<string>('GET', '/metrics')
    const sums = metrics.split('\n').filter((line) => line.startsWith('kilowatt_ledger_audit{'))
    t.ok(sums.length >= 5 && sums.every((line) => line.endsWith(' 0')))
  }
)
