import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { REPLAY_KILO, replay, type PlayFault } from '#fixtures'
import { processesOf } from '../../helpers/processes.ts'
import { givenProject, seen, startProduct, type GivenProject } from '../../helpers/product.ts'

const times = {
  startMs: 30_000,
  probeAfterMs: 0,
  probeMs: 1000,
  healthMs: 5000,
  requestMs: 5000,
  turnSilenceMs: 1000,
  brokenMs: 10_000
}

interface Agent {
  readonly state: string
  readonly restarts: number
  readonly failures: number
  readonly brokenUntil: string | null
  readonly lastStop: { readonly reason: string; readonly how: string } | null
  readonly memoryBytes: number | null
}

/** The agent of a project from its start to its end, as its user sees it. Kilo is replayed: this is about its process. */
t.test('the agent of a project', { jobs: 4 }, async (t) => {
  const { user, admin } = await startProduct(t, {
    env: { KILO_BIN: REPLAY_KILO, ISOLATION: 'process' },
    tuning: { agents: { times } }
  })
  const client = await user()
  const agentOf = async (project: GivenProject) =>
    (await client.call<Agent>('GET', `/projects/${project.id}/agent`)).body
  const restart = (project: GivenProject, body?: object) =>
    client.call('POST', `/projects/${project.id}/agent/restart`, body)
  const metrics = async () => (await admin.call<string>('GET', '/metrics')).body

  t.test('is broken after five crashes, and gets one start after a pause', async (t) => {
    const project = await givenProject(client)
    const faults: PlayFault[] = [{ kind: 'crash', atEvent: 3 }]
    for (let at = 0; at < 5; at++) {
      const story = await project.run(replay('text', { faults }))
      t.match(story.only('job:error'), { code: 'agent_crashed', credits: { charged: 0 } })
    }
    const broken = await agentOf(project)
    t.match(broken, {
      state: 'broken',
      restarts: 4,
      lastStop: { reason: 'crashed', how: 'was ended by SIGKILL' },
      memoryBytes: null
    })
    const story = await project.run(replay('text'))
    t.match(story.only('job:error'), {
      code: 'agent_unavailable',
      message: /failed 5 times in a short time, and is started again at .* The last one: crashed/,
      retryable: true,
      credits: { charged: 0 }
    })
    t.match(await metrics(), 'kilowatt_agents{state="broken"} 1')

    await sleep(Date.parse(broken.brokenUntil ?? '') - Date.now() + 100)
    t.equal((await project.run(replay('text'))).last.type, 'job:success')
    const agent = await agentOf(project)
    t.match(agent, { state: 'ready', restarts: 5, failures: 0, brokenUntil: null })
    t.ok((agent.memoryBytes ?? 0) > 10_000_000)
    const text = await metrics()
    t.match(text, 'kilowatt_agent_stops_total{reason="crashed"} 5')
    t.match(text, 'kilowatt_agent_broken_total 1')
    t.match(text, 'kilowatt_agent_repaired_total 1')
    t.match(text, 'kilowatt_agents{state="broken"} 0')
  })

  t.test('is restarted on request, but not under a running job', async (t) => {
    const project = await givenProject(client)
    const slow = replay('burst', { texts: 400, perSecond: 20 })
    const jobId = await project.submit(slow)
    await seen(client, jobId, 'job:log')
    t.match(await restart(project), { status: 409, body: { code: 'agent_busy', jobId } })
    t.match(await agentOf(project), { state: 'ready', busy: true, restarts: 0 })

    const queued = await project.submit(replay('text'))
    t.match(await restart(project, { force: true }), { status: 202 })
    t.match((await project.story(jobId)).only('job:error'), { code: 'cancelled' })
    t.equal((await project.story(queued)).last.type, 'job:success', 'the next job is not affected')
    t.match(await agentOf(project), { restarts: 1, failures: 0, lastStop: { reason: 'restarted' } })

    t.match(await restart(project), { status: 202, body: { state: 'stopped' } })
    t.equal((await project.run(replay('text'))).last.type, 'job:success')
    t.match(await agentOf(project), { state: 'ready', restarts: 2 })
  })

  t.test('is replaced when it hangs between two jobs', async (t) => {
    const project = await givenProject(client)
    await project.run(replay('text'))
    const hung = await stopKilo(project)
    t.equal((await project.run(replay('text'))).last.type, 'job:success')
    t.match(await agentOf(project), { restarts: 1, lastStop: { reason: 'stalled' } })
    t.same(
      (await processesOf(project.id)).filter(({ pid }) => hung.includes(pid)),
      []
    )
    t.match(await metrics(), /kilowatt_agent_probes_failed_total [1-9]/)
  })

  t.test('fails the job in which it hangs, and is replaced for the next', async (t) => {
    const project = await givenProject(client)
    const jobId = await project.submit(replay('burst', { texts: 400, perSecond: 20 }))
    await seen(client, jobId, 'job:log')
    await stopKilo(project)
    t.match((await project.story(jobId)).only('job:error'), { code: 'agent_stalled' })
    t.equal((await project.run(replay('text'))).last.type, 'job:success')
    t.match(await agentOf(project), { restarts: 1, lastStop: { reason: 'stalled' } })
  })
})

/** Stops the process of a project's Kilo: the kernel still accepts connections for it. */
async function stopKilo(project: GivenProject): Promise<number[]> {
  const kilos = (await processesOf(project.id)).filter(({ command }) => command.includes('serve'))
  for (const { pid } of kilos) process.kill(pid, 'SIGSTOP')
  if (kilos.length === 0) throw new Error('there is no Kilo')
  return kilos.map(({ pid }) => pid)
}
