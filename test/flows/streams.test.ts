import { join } from 'node:path'
import t, { type Test } from 'tap'
import { script, type Step } from '#fixtures'
import type { AgentTimes } from '#supervisor'
import { FAULTY_KILO, faultyKilo, type Fault, type FaultyKilo } from '../helpers/faulty-kilo.ts'
import { givenProject, seen, startProduct, type Story } from '../helpers/product.ts'

interface Message {
  info: { role: string }
  parts: { id: string; type: string; text?: string }[]
}

const WORDS = 'Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich. '
const todos = [
  { content: 'before', status: 'completed', priority: 'high' },
  { content: 'after', status: 'in_progress', priority: 'low' }
]
const list = { tool: 'todowrite', input: { todos } }
const bash = (command: string): Step => ({
  tool: 'bash',
  input: { command, description: 'a command' }
})

/** A text that is being told when the stream breaks; then tools, a list and a question; then another text. */
const story = (name: string, pieces: number) =>
  script(
    {
      think: 'Let me think about it. ',
      say: WORDS.repeat(3),
      chunks: pieces,
      chunkMs: 50,
      tool: 'write',
      input: { filePath: `{{worktree}}/${name}.txt`, content: name }
    },
    list,
    bash(`echo more > ${name}.log`),
    { say: WORDS.repeat(2), chunks: 20, chunkMs: 20 }
  )

t.test('what Kilo says is told once and whole, however its stream breaks', async (t) => {
  const { client, project, kilo } = await given(t)

  const cases: [string, Fault, number][] = [
    ['cut for five seconds, within a text', { stream: 'cut', forMs: 5000 }, 150],
    ['cut for five seconds, over everything', { stream: 'cut', forMs: 5000 }, 20],
    ['ended cleanly for two seconds', { stream: 'end', forMs: 2000 }, 20],
    ['stalled for longer than is waited', { stream: 'stall', forMs: 5000 }, 20],
    ['half open', { stream: 'half-open' }, 20],
    // Long enough to lose the end of a part: pieces alone have no number by which they are missed.
    ['losing messages for a while though it lives', { stream: 'drop', forMs: 5000 }, 20],
    ['of heartbeats only', { stream: 'hollow' }, 20],
    ['with garbage in it', { stream: 'garbage' }, 20],
    [
      'cut, when Kilo’s database is busy as well',
      { stream: 'cut', forMs: 500, refuse: { path: '^/sync/history', status: 503, times: 2 } },
      20
    ],
    [
      'cut, when Kilo cannot say at first what it asks',
      { stream: 'cut', forMs: 500, refuse: { path: '^/permission$', status: 503, times: 1 } },
      20
    ],
    [
      'cut, when Kilo cannot say at first what there is to do',
      { stream: 'cut', forMs: 500, refuse: { path: '/todo$', status: 503, times: 1 } },
      20
    ]
  ]
  for (const [at, [says, fault, pieces]] of cases.entries()) {
    await t.test(`a stream ${says}`, async (t) => {
      const name = `case-${at}`
      const prompt = story(name, pieces)
      const jobId = await project.submit(prompt)
      await seen(client, jobId, 'job:log')
      await (await kilo()).break(fault)

      const { permissionId, kind } = await seen(client, jobId, 'job:permission')
      t.equal(kind, 'bash')
      await client.call('POST', `/jobs/${jobId}/permissions/${permissionId}`, { reply: 'once' })
      const told = await project.story(jobId)

      t.equal(told.last.type, 'job:success', JSON.stringify(told.last.data))
      t.equal(told.all('job:permission').length, 1, 'asked once')
      t.match(told.only('job:todo'), { items: todos })
      t.same(
        told.all('job:tool').flatMap(({ tool, status }) => (status === 'running' ? [] : [tool])),
        ['write', 'todowrite', 'bash']
      )
      t.same(
        told
          .all('job:file-created')
          .map(({ path }) => path)
          .toSorted(),
        [`${name}.log`, `${name}.txt`]
      )
      await sameAsKilo(t, told, prompt, await kilo())
    })
  }
})

t.test('an end that nobody heard is found', async (t) => {
  const { client, project, kilo } = await given(t)
  const text = { say: WORDS.repeat(3), chunks: 20, chunkMs: 50 }

  for (const [says, fault, steps, ending] of [
    ['by asking, while the stream lives', { stream: 'hollow' }, [text], 'job:success'],
    ['after a cut', { stream: 'cut', forMs: 3000 }, [text], 'job:success'],
    [
      'of a model that failed',
      { stream: 'cut', forMs: 3000 },
      [{ ...text, ...list }, { fail: 400 }],
      'job:error'
    ]
  ] as [string, Fault, Step[], string][]) {
    await t.test(says, async (t) => {
      const prompt = `${says}: ${script(bash('true'), ...steps)}`
      const jobId = await project.submit(prompt)
      const { permissionId } = await seen(client, jobId, 'job:permission')
      await client.call('POST', `/jobs/${jobId}/permissions/${permissionId}`, { reply: 'once' })
      await seen(client, jobId, 'job:log')
      await (await kilo()).break(fault)
      const told = await project.story(jobId)
      t.equal(told.last.type, ending, JSON.stringify(told.last.data))
      if (ending === 'job:error') t.match(told.last.data, { code: 'model_error' })
      await sameAsKilo(t, told, prompt, await kilo())
    })
  }

  await t.test('a question that was answered in a gap is closed', async (t) => {
    const jobId = await project.submit(script(bash('echo a > a.txt'), { say: 'Done.' }))
    const { permissionId } = await seen(client, jobId, 'job:permission')
    const real = await kilo()
    await real.break({ stream: 'cut', forMs: 1500 })
    await real.post(`/permission/${permissionId}/reply`, { reply: 'once' })
    const told = await project.story(jobId)
    t.equal(told.last.type, 'job:success')
    t.match(told.only('job:permission-resolved'), { permissionId, by: 'policy' })
  })
})

t.test('a beginning that nobody heard is found', async (t) => {
  // Nothing but the watch over the beginning looks in time.
  const { project, kilo } = await given(t, { turnOpenMs: 500, turnSilenceMs: 60_000 })
  await (await kilo()).break({ stream: 'cut', forMs: 4000 })
  const prompt = `A beginning: ${script({ say: WORDS })}`
  const told = await project.run(prompt)
  t.equal(told.last.type, 'job:success', JSON.stringify(told.last.data))
  await sameAsKilo(t, told, prompt, await kilo())
})

t.test('a sub-agent’s files are told, also when its birth was not heard', async (t) => {
  const { client, project, kilo } = await given(t)
  const task = (...steps: Step[]): Step => ({
    tool: 'task',
    input: { description: 'help', prompt: script(...steps), subagent_type: 'general' }
  })

  for (const [says, fault] of [
    ['files that its commands write are told', {}],
    ['the same, when its birth and its question were not heard', { stream: 'cut', forMs: 3000 }]
  ] as [string, Fault][]) {
    await t.test(says, async (t) => {
      const name = `sub-${Object.keys(fault).length}.txt`
      const inner = task(bash(`echo sub > ${name}`), { say: 'The child is done.' })
      const steps = script({ say: WORDS, chunks: 10, chunkMs: 50, ...inner }, { say: 'All done.' })
      const jobId = await project.submit(steps)
      await seen(client, jobId, 'job:running')
      await (await kilo()).break(fault)
      const { permissionId } = await seen(client, jobId, 'job:permission')
      await client.call('POST', `/jobs/${jobId}/permissions/${permissionId}`, { reply: 'once' })
      const told = await project.story(jobId)
      t.equal(told.last.type, 'job:success', JSON.stringify(told.last.data))
      t.same(
        told.all('job:file-created').map(({ path }) => path),
        [name]
      )
      t.equal(told.all('job:permission').length, 1)
      await sameAsKilo(t, told, steps, await kilo())
    })
  }
})

t.test('a command may take longer than a provider may be silent', async (t) => {
  const { user } = await startProduct(t, {
    tuning: { gateway: { times: { silenceMs: 1000 } } },
    env: { ISOLATION: 'process' }
  })
  const client = await user()
  const project = await givenProject(client)
  const jobId = await project.submit(script(bash('sleep 3; echo awake'), { say: 'Done.' }))
  const { permissionId } = await seen(client, jobId, 'job:permission')
  await client.call('POST', `/jobs/${jobId}/permissions/${permissionId}`, { reply: 'once' })
  const told = await project.story(jobId)
  t.equal(told.last.type, 'job:success', JSON.stringify(told.last.data))
  t.match(told.all('job:tool').at(-1), { status: 'completed', output: /awake/ })
  t.equal(told.text(), 'Done.')
})

/** The whole product in front of a Kilo whose stream can be broken; impatient, so that silence is noticed soon. */
async function given(t: Test, times: Partial<AgentTimes> = { turnSilenceMs: 1500 }) {
  const { user, dataDir } = await startProduct(t, {
    env: { KILO_BIN: FAULTY_KILO, ISOLATION: 'process' },
    tuning: { agents: { times: { streamSilenceMs: 3000, ...times } } }
  })
  const client = await user()
  const project = await givenProject(client)
  const kilo = () => faultyKilo(join(dataDir, 'agents', project.id, 'own'))
  // Its Kilo is warm from here on.
  await project.run(script({ say: 'Hello.' }))
  return { client, project, kilo }
}

/** Every text of the job that had this prompt is Kilo's own, part by part, in its order. */
async function sameAsKilo(t: Test, told: Story, prompt: string, kilo: FaultyKilo) {
  const texts = new Map<string, string>()
  for (const { source, partId, text } of told.all('job:log')) {
    if (source !== 'system') texts.set(partId, (texts.get(partId) ?? '') + text)
  }
  const sessions = await kilo.get<{ id: string; parentID?: string }[]>('/session')
  const conversations = await Promise.all(
    sessions
      .filter(({ parentID }) => parentID === undefined)
      .map(({ id }) => kilo.get<Message[]>(`/session/${id}/message`))
  )
  const own = conversations.filter((messages) => messages[0]?.parts[0]?.text === prompt)
  t.equal(own.length, 1, 'a conversation of its own')
  const parts = own
    .flat()
    .filter(({ info }) => info.role === 'assistant')
    .flatMap(({ parts }) => parts)
    .filter(({ type, text }) => (type === 'text' || type === 'reasoning') && text !== '')
  t.ok(parts.length > 0)
  t.same(
    [...texts],
    parts.map(({ id, text }) => [id, text])
  )
}
