import t from 'tap'
import { REPLAY_KILO, replay, type PlayFault } from '#fixtures'
import { givenProject, seen, startProduct } from '../helpers/product.ts'

const TEXT = 'I write the file.The file is written.'

/** The whole product on a Kilo that plays recordings: no Kilo is installed, and no model answers. */
t.test('jobs on the replay', async (t) => {
  const { user } = await startProduct(t, {
    env: { KILO_BIN: REPLAY_KILO, ISOLATION: 'process' },
    tuning: { agents: { times: { startMs: 15_000 } } }
  })
  const client = await user()

  await t.test('a job writes a file that is committed, and has its diff', async (t) => {
    const project = await givenProject(client)
    const story = await project.run(replay('write-new-file'))
    t.equal(story.last.type, 'job:success')
    t.equal(story.text(), TEXT)
    t.match(story.all('job:file-created'), [{ path: 'hello.txt' }])
    t.match(story.only('job:diff'), { files: [{ path: 'hello.txt', status: 'added' }] })
    t.equal(await project.read('hello.txt'), 'hello\nworld\n')
  })

  await t.test('a permission waits for a person', async (t) => {
    const project = await givenProject(client)
    const jobId = await project.submit(replay('permission-once'))
    const { permissionId } = await seen(client, jobId, 'job:permission')
    t.equal(await project.read('asked.txt'), undefined)
    await client.call('POST', `/jobs/${jobId}/permissions/${permissionId}`, { reply: 'once' })
    t.equal((await project.story(jobId)).last.type, 'job:success')
    t.equal(await project.read('asked.txt'), 'asked\n')
  })

  const atEvent = 18
  const faults: PlayFault[] = [
    { kind: 'cut', atEvent },
    { kind: 'end', atEvent },
    { kind: 'stall', atEvent, ms: 1000 },
    { kind: 'duplicate' },
    { kind: 'garbage', atEvent: 3, every: 5 },
    { kind: 'slow', bytesPerSecond: 50_000 },
    { kind: 'cut-every', bytes: 3 }
  ]
  const project = await givenProject(client)
  for (const fault of faults) {
    await t.test(`${fault.kind}: the text is exact all the same`, async (t) => {
      const story = await project.run(replay('write-new-file', { faults: [fault] }))
      t.equal(story.last.type, 'job:success')
      t.equal(story.text(), TEXT)
    })
  }

  await t.test('reorder: sub-agents overtake each other, and the text is exact', async (t) => {
    const plain = await project.run(replay('subagent-parallel'))
    const faults: PlayFault[] = [{ kind: 'reorder' }]
    const story = await project.run(replay('subagent-parallel', { faults }))
    t.equal(story.last.type, 'job:success')
    t.not(plain.text(), '')
    t.equal(story.text(), plain.text())
  })

  await t.test(
    'crash: the job fails with agent_crashed and a refund, and the next one succeeds',
    async (t) => {
      const story = await project.run(replay('text', { faults: [{ kind: 'crash', atEvent }] }))
      t.match(story.only('job:error'), { code: 'agent_crashed', credits: { charged: 0 } })
      t.equal((await project.run(replay('text'))).last.type, 'job:success')
    }
  )

  const broken = [
    { kind: 'never-ready' },
    { kind: 'dies', says: 'the database is gone' },
    { kind: 'unguarded' },
    { kind: 'unauthorized' },
    { kind: 'warns', says: 'a wrong type' }
  ]
  await t.test('an agent that does not start', { jobs: broken.length }, async (t) => {
    for (const fault of broken) {
      t.test(`${fault.kind}: there is no agent, and nothing is charged`, async (t) => {
        const settings = JSON.stringify({ faults: [fault] })
        const project = await givenProject(client, { '.kilo-replay.json': settings })
        const story = await project.run('Say hello.')
        t.match(story.only('job:error'), { code: 'agent_unavailable', credits: { charged: 0 } })
      })
    }
  })
})

t.test('in a jail that holds only the program, the replay reports why it cannot run', async (t) => {
  const { user, product } = await startProduct(t, { env: { KILO_BIN: REPLAY_KILO } })
  const skip = 'bubblewrap cannot be used on this machine'
  if (product.isolation === 'process') return void t.pass('the reason is reported', { skip })
  const project = await givenProject(await user())
  const story = await project.run('Say hello.')
  t.match(story.only('job:error'), {
    code: 'agent_unavailable',
    message: /run it without a sandbox/
  })
})
