import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { script } from '#fixtures'
import { givenProject, startProduct, type GivenProject } from '../helpers/product.ts'
import { usableBubblewrap } from '../helpers/rooms/usable-bubblewrap.ts'

const ENV = {
  AGENT_MEMORY_BYTES_MAX: '1300000000',
  AGENT_PROCESSES_MAX: '300',
  QUOTA_PROJECT_BYTES: '60000000'
}

/** Each attack bounds itself, whatever the limits do: 2000 processes, 3 GB of memory, 1 GB of output. */
const FORKS = 'for n in $(seq 2000); do sleep 60 & done 2> /dev/null; wait'
const MEMORY = `/opt/node/node -e '
  const kept = []
  for (let n = 0; n < 150; n++) kept.push(Buffer.alloc(20e6, 1))
  setTimeout(() => kept.length, 60_000)'`
const OUTPUT = 'head -c 1000000000 /dev/zero | tr "\\\\0" x'
const FILL = 'for n in 1 2 3; do head -c 40000000 /dev/zero > "$TMPDIR/$n"; done; sleep 60'

const bash = (command: string) =>
  script({ tool: 'bash', input: { command, description: 'x', timeout: 90_000 } }, { say: 'Done.' })

/** Asks `/readyz` all the while. On a machine whose cores are shared, a single answer may be late by no fault of the server. */
async function whileReady<T>(t: Test, url: string, work: () => Promise<T>): Promise<T> {
  const over = new AbortController()
  const tookMs: number[] = []
  const probing = (async () => {
    while (!over.signal.aborted) {
      const since = performance.now()
      const { status } = await fetch(`${url}/readyz`)
      if (status !== 200) t.fail(`/readyz answered ${status}`)
      tookMs.push(performance.now() - since)
      await sleep(100)
    }
  })()
  try {
    return await work()
  } finally {
    over.abort()
    await probing
    const late = tookMs.filter((ms) => ms > 1000).length
    const worst = Math.round(Math.max(...tookMs))
    t.ok(late <= tookMs.length / 50, `${late} of ${tookMs.length} answers took more than 1 s`)
    t.ok(worst < 5000, `the slowest took ${worst} ms`)
  }
}

const skip = usableBubblewrap === undefined && 'bubblewrap cannot be used on this machine'

t.test('a greedy agent harms its own job only', { skip }, async (t) => {
  const { url, admin, user } = await startProduct(t, { env: ENV })
  const client = await user()
  const project = await givenProject(client)
  const other = await givenProject(await user())
  await other.run(script({ say: 'warm' }))
  const before = process.memoryUsage().rss

  const attack = (command: string, during: (project: GivenProject) => Promise<unknown>) =>
    whileReady(t, url, async () => {
      const [story] = await Promise.all([project.run(bash(command)), during(other)])
      return story
    })
  const otherJob = async () => {
    const file = { filePath: '{{worktree}}/other.txt', content: String(Math.random()) }
    const story = await other.run(script({ tool: 'write', input: file }, { say: 'ok' }))
    t.equal(story.last.type, 'job:success', "another project's job ends well")
  }

  for (const [name, command, code, message] of [
    ['2000 processes', FORKS, 'agent_crashed', /had \d+ processes and threads; the limit is 300/],
    ['3 GB of memory', MEMORY, 'agent_out_of_memory', /of memory; the limit is 1.30 GB/],
    // Kilo writes the whole output into its own folder.
    ['1 GB of output', OUTPUT, 'disk_full', /more than its limit of 60.0 MB on disk/]
  ] as const) {
    await t.test(name, async (t) => {
      const story = await attack(command, otherJob)
      t.match(story.only('job:error'), { code, message })
    })
  }

  await t.test('a full disk, until the next agent starts', async (t) => {
    const story = await attack(FILL, otherJob)
    t.match(story.only('job:error'), { code: 'disk_full', message: /limit of 60.0 MB on disk/ })
    const path = `/projects/${project.id}/files/a.txt`
    const refused = await client.call('PUT', path, { content: 'x' })
    t.match(refused, { status: 413, body: { code: 'quota_exceeded', limitBytes: 60_000_000 } })

    t.equal((await project.run(script({ say: 'ok' }))).last.type, 'job:success')
    await sleep(2100)
    t.equal((await client.call('PUT', path, { content: 'x' })).status, 201)
  })
  t.ok(process.memoryUsage().rss - before < 300_000_000, "the server's memory is flat")

  const { body } = await admin.call<string>('GET', '/metrics')
  t.match(body, /kilowatt_agent_limits_exceeded_total\{limit="disk-full"\} 2/)
  t.match(body, /kilowatt_agents_memory_bytes \d{9}/)
})
